package api

import (
	"fmt"
	"strconv"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// A planned is the member "release" of a body.
type planned struct {
	text jsontext.Value // nil if the body does not have it
}

// field returns the field for the member.
func (p *planned) field() field {
	return field{name: "release", optional: true, read: func(value jsontext.Value) string {
		p.text = value
		return ""
	}}
}

// plan returns the plan; nil if there is none.
func (p *planned) plan(rules *fleet.Fleet) (*release.Plan, error) {
	if p.text == nil {
		return nil, nil
	}
	plan, err := rules.ReadPlan(p.text)
	return &plan, err
}

// listReleases lists releases.
//
//	@Summary		List releases
//	@Description	The newest first. Counts and causes are those of the last move of each release; the release itself has those of now.
//	@Tags			releases
//	@ID				list-releases
//	@Param			limit	query		int						false	"Most releases in the answer, up to 1000"	default(100)
//	@Param			before	query		int						false	"next of the previous page"
//	@Success		200		{object}	serverapi.ReleasePage	"The releases"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/releases/ [get]
func (h *handlers) listReleases(c echo.Context) error {
	q := query{c: c}
	limit, below := q.limit(), q.place("before")
	if err := q.done(); err != nil {
		return err
	}
	list, err := h.fleet.Releases(c.Request().Context(), below, limit)
	if err != nil {
		return err
	}
	page := serverapi.ReleasePage{Releases: []serverapi.Release{}}
	for _, of := range list {
		page.Releases = append(page.Releases, wire.Release(fleet.ReleaseView{Release: of}))
	}
	if len(list) == limit {
		page.Next = list[limit-1].ID
	}
	return answerJSON(c, page)
}

// getRelease shows a release.
//
//	@Summary	Show a release
//	@Tags		releases
//	@ID			get-release
//	@Param		id	path		int					true	"The release: the revision at which it began"
//	@Success	200	{object}	serverapi.Release	"The release, and how its devices are now"
//	@Failure	401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	404	{object}	serverapi.Problem	"There is no such release"
//	@Failure	422	{object}	serverapi.Problem	"Not the number of a release"
//	@Failure	503	{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router		/releases/{id}/ [get]
func (h *handlers) getRelease(c echo.Context) error {
	id, err := releaseOf(c)
	if err != nil {
		return err
	}
	view, err := h.fleet.ShowRelease(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return h.answerRelease(c, view)
}

// answerRelease answers with a release, and the names of devices that fail or delay it.
func (h *handlers) answerRelease(c echo.Context, view fleet.ReleaseView) error {
	shape := wire.Release(view)
	for _, list := range [][]serverapi.ReleaseCause{shape.Causes, shape.HeldBy} {
		for i := range list {
			var err error
			if list[i].Names, err = h.fleet.NamesOf(c.Request().Context(), list[i].Some); err != nil {
				return err
			}
		}
	}
	return answerJSON(c, shape)
}

// goRelease makes a release go on.
//
//	@Summary		Let a release go on
//	@Description	Begins the stage that waits for a person's word, ends a hold early, or lets a halted release go on; devices that fail
//	@Description	or are silent now do not stop it again.
//	@Tags			releases
//	@ID				go-release
//	@Param			id	path		int					true	"The release"
//	@Success		200	{object}	serverapi.Release	"The release"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404	{object}	serverapi.Problem	"There is no such release"
//	@Failure		409	{object}	serverapi.Problem	"The release has ended, or goes on by itself"
//	@Failure		422	{object}	serverapi.Problem	"Not the number of a release"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/releases/{id}/go/ [post]
func (h *handlers) goRelease(c echo.Context) error { return h.sayToRelease(c, release.SaysGo) }

// haltRelease stops a release.
//
//	@Summary		Halt a release
//	@Description	No further stage begins. Devices of the stages that have begun keep the change, or get it with their next poll.
//	@Description	Only undo takes it back.
//	@Tags			releases
//	@ID				halt-release
//	@Param			id	path		int					true	"The release"
//	@Success		200	{object}	serverapi.Release	"The release"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404	{object}	serverapi.Problem	"There is no such release"
//	@Failure		409	{object}	serverapi.Problem	"The release has ended, or is halted already"
//	@Failure		422	{object}	serverapi.Problem	"Not the number of a release"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/releases/{id}/halt/ [post]
func (h *handlers) haltRelease(c echo.Context) error { return h.sayToRelease(c, release.SaysHalt) }

// undoRelease undoes a release.
//
//	@Summary		Undo a release
//	@Description	The layers become what they were before the release, under new revisions, for all devices.
//	@Tags			releases
//	@ID				undo-release
//	@Param			id	path		int					true	"The release"
//	@Success		200	{object}	serverapi.Release	"The release, which has ended"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404	{object}	serverapi.Problem	"There is no such release"
//	@Failure		409	{object}	serverapi.Problem	"The release has ended"
//	@Failure		422	{object}	serverapi.Problem	"Not the number of a release"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/releases/{id}/undo/ [post]
func (h *handlers) undoRelease(c echo.Context) error { return h.sayToRelease(c, release.SaysUndo) }

func (h *handlers) sayToRelease(c echo.Context, event release.Event) error {
	id, err := releaseOf(c)
	if err != nil {
		return err
	}
	view, err := h.fleet.Say(c.Request().Context(), fleet.Word{Release: id, Event: event, By: author(c), Within: within(c)})
	if err != nil {
		return err
	}
	return h.answerRelease(c, view)
}

// releaseOf returns the ID in the path.
func releaseOf(c echo.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fieldProblem(serverapi.FieldProblem{Field: "id", Message: fmt.Sprintf("must be the number of a release, not %q",
			clip(c.Param("id")))})
	}
	return id, nil
}

// begin begins a release with the batch. Without a plan it makes the changes for all devices at once. It returns the ID
// of the release; 0 for none.
func (h *handlers) begin(c echo.Context, batch fleet.Batch, plan *release.Plan) ([]fleet.Layer, int64, error) {
	if plan == nil {
		layers, err := h.fleet.SetAll(c.Request().Context(), batch)
		return layers, 0, err
	}
	layers, begun, err := h.fleet.StartRelease(c.Request().Context(), batch, *plan, author(c))
	if begun == nil {
		return layers, 0, err
	}
	c.Response().Header().Set(echo.HeaderLocation, fmt.Sprintf("/releases/%d/", begun.ID))
	return layers, begun.ID, err
}

package api

import (
	"errors"
	"strconv"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// listHistory lists changes.
//
//	@Summary		List changes
//	@Description	Changes of layers, of named secrets and of devices' labels, the newest first, without configurations.
//	@Tags			history
//	@ID				list-history
//	@Param			layer	query		string					false	"Only changes of this layer: everyone, labels/NAME or devices/UUID, where a name or the beginning of a UUID does as well; secrets/NAME for a named secret"
//	@Param			limit	query		int						false	"Most changes in the answer, up to 1000"	default(100)
//	@Param			before	query		int						false	"next of the previous page"
//	@Success		200		{object}	serverapi.HistoryPage	"The changes"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		404		{object}	serverapi.Problem		"There is no such device"
//	@Failure		409		{object}	serverapi.Problem		"Several UUIDs begin so; the detail names them"
//	@Failure		422		{object}	serverapi.Problem		"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/history/ [get]
func (h *handlers) listHistory(c echo.Context) error {
	q := query{c: c}
	limit, below := q.limit(), q.place("before")
	layer, err := h.layer(&q)
	if err == nil {
		err = q.done()
	}
	if err != nil {
		return err
	}
	entries, err := h.fleet.History(c.Request().Context(), layer, below, limit)
	if err != nil {
		return err
	}
	page, err := wire.HistoryPage(entries, limit)
	if err != nil {
		return err
	}
	var devices []uuid.UUID
	for _, entry := range entries {
		devices = append(devices, entry.Layer.Device())
	}
	names, err := h.fleet.NamesOf(c.Request().Context(), devices)
	if err != nil {
		return err
	}
	for i := range page.History {
		page.History[i].Device = names[devices[i]]
	}
	return answerJSON(c, page)
}

// getEntry shows a change.
//
//	@Summary	Show a change
//	@Tags		history
//	@ID			get-entry
//	@Param		revision	path		int						true	"The revision"
//	@Success	200			{object}	serverapi.HistoryEntry	"The change, with the layer's configuration before and after"
//	@Failure	401			{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure	404			{object}	serverapi.Problem		"The history has no such revision"
//	@Failure	422			{object}	serverapi.Problem		"Not a revision"
//	@Failure	503			{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router		/history/{revision}/ [get]
func (h *handlers) getEntry(c echo.Context) error {
	q := query{c: c}
	revision := q.revision()
	if err := q.done(); err != nil {
		return err
	}
	entry, err := h.fleet.Entry(c.Request().Context(), revision)
	if err != nil {
		return err
	}
	shape, err := wire.Entry(entry)
	if err != nil {
		return err
	}
	return answerJSON(c, shape)
}

// getDiff compares revisions of a layer.
//
//	@Summary		Compare revisions
//	@Description	Without against: what the revision changed in its layer. With against: how the layer differs between the
//	@Description	two revisions.
//	@Tags			history
//	@ID				get-diff
//	@Param			revision	path		int					true	"The revision"
//	@Param			against		query		int					false	"The revision to compare with; default: the previous revision of the layer"
//	@Success		200			{object}	serverapi.Diff		"The differences"
//	@Failure		401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		404			{object}	serverapi.Problem	"The history has no such revision"
//	@Failure		422			{object}	serverapi.Problem	"Not a revision, or one that changed labels"
//	@Failure		503			{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/history/{revision}/diff/ [get]
func (h *handlers) getDiff(c echo.Context) error {
	q := query{c: c}
	revision := q.revision()
	var against *int64
	if _, there := q.argument("against"); there {
		against = new(q.number("against", 0))
	}
	if err := q.done(); err != nil {
		return err
	}
	layer, since, differences, err := h.fleet.Diff(c.Request().Context(), revision, against)
	if err != nil {
		return err
	}
	return answerJSON(c, serverapi.Diff{Layer: string(layer), Revision: revision, Against: since,
		Changes: wire.Changes(differences)})
}

// restore restores a layer or labels to a revision.
//
//	@Summary		Restore a revision
//	@Description	Sets the revision's layer, or the device's labels or name, to what they were at that revision. This makes a new
//	@Description	revision, unless nothing differs. The server checks the target against the confdb-schema again.
//	@Tags			history
//	@ID				restore
//	@Param			revision	path		int						true	"The revision"
//	@Success		200			{object}	serverapi.HistoryEntry	"The new change; the last one if the layer did not differ"
//	@Failure		401			{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403			{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404			{object}	serverapi.Problem		"The history has no such revision, or its device is deleted"
//	@Failure		409			{object}	serverapi.Problem		"Another device has the name by now"
//	@Failure		422			{object}	serverapi.Problem		"Not a revision, or the confdb-schema now refuses the target"
//	@Failure		503			{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/history/{revision}/restore/ [post]
func (h *handlers) restore(c echo.Context) error {
	q := query{c: c}
	revision := q.revision()
	if err := q.done(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	drawn, err := h.fleet.Restore(ctx, revision, author(c), within(c))
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return noDevice()
	}
	if err != nil {
		return err
	}
	entry, err := h.fleet.Entry(ctx, drawn)
	if err != nil {
		return err
	}
	shape, err := wire.Entry(entry)
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(drawn, 10)+`"`)
	return answerJSON(c, shape)
}

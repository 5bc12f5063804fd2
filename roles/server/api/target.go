package api

import (
	"net/http"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// getTarget shows the target of everyone.
//
//	@Summary		Show the target configuration of all devices
//	@Description	The answer is the layer of everyone: {} if it was never set. ETag has its revision. A secret is shown as
//	@Description	{"$secret":"set","digest":"…"}, here and in all other answers to operators. In a PUT, such a marker
//	@Description	keeps the layer's secret that has the digest.
//	@Tags			target
//	@ID				get-target
//	@Param			If-None-Match	header		string				false	"The ETag that the caller has"
//	@Success		200				{object}	serverapi.Document	"The target"
//	@Success		304				"The caller has this revision"
//	@Failure		401				{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		503				{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/target-config/ [get]
func (h *handlers) getTarget(c echo.Context) error {
	layer, err := h.fleet.Layer(c.Request().Context(), fleet.Everyone)
	if err != nil {
		return err
	}
	setTag(c, layer.Revision)
	if unchanged(c, layer.Revision) {
		return c.NoContent(http.StatusNotModified)
	}
	return answerJSON(c, document{Config: layer.Config})
}

// putTarget replaces the target of everyone.
//
//	@Summary		Set the target configuration of all devices
//	@Description	Replaces the layer of everyone. Devices that are not in sync with it get it with their next poll, and
//	@Description	waiting devices at once. The configuration has a member for each confdb view, with the values for the
//	@Description	view; null unsets a value. The server checks it against the confdb-schema first. ETag has the revision.
//	@Description	With If-Match, the server refuses the change if the layer has another revision.
//	@Tags			target
//	@ID				put-target
//	@Param			If-Match		header		string				false	"Change the layer only if it has this ETag"
//	@Param			If-None-Match	header		string				false	"*: only if it was never set"
//	@Param			dry-run			query		bool				false	"Change nothing, and answer what would change"
//	@Param			body			body		serverapi.Document	true	"The configuration for all devices"
//	@Success		200				{object}	serverapi.Document	"The target as it is stored"
//	@Failure		401				{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403				{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		409				{object}	serverapi.Problem	"The active release changes the layer of everyone"
//	@Failure		412				{object}	serverapi.Problem	"The target has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem	"The body is too large"
//	@Failure		415				{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem	"The body is invalid, or the confdb-schema refuses the target; errors has the fields"
//	@Failure		503				{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/target-config/ [put]
func (h *handlers) putTarget(c echo.Context) error {
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone}, Within: within(c)}
	if err := h.decode(c, field{name: "config", read: configuration(&change.Config)}); err != nil {
		return err
	}
	if dry, err := h.dryRun(c, change, nil); dry || err != nil {
		return err
	}
	layer, _, err := h.change(c, change, nil)
	if err != nil {
		return err
	}
	return answerJSON(c, document{Config: layer.Config})
}

package api

import (
	"net/http"

	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// getTarget shows the target of everyone.
//
//	@Summary		Show the target configuration of all devices
//	@Description	The layer of everyone, {} when none was ever set. ETag has its revision. A secret is shown as
//	@Description	{"$secret":"set","digest":"…"}, here and in all other answers to operators. In a PUT, such a marker keeps the
//	@Description	layer's secret that has the digest.
//	@Tags			target
//	@ID				get-target
//	@Param			If-None-Match	header		string				false	"The ETag that the caller has"
//	@Success		200				{object}	serverapi.Document	"The target"
//	@Success		304				"The caller has it already"
//	@Failure		401				{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		503				{object}	serverapi.Problem	"The server cannot read it; Retry-After says when to try again"
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
//	@Summary		Replace the target configuration of all devices
//	@Description	The layer of everyone, in the original's shape. Devices get it with their next poll, or at once where
//	@Description	they wait, when they are not in sync with it. View names lead to the values that the views are to show;
//	@Description	null asks a device to unset a value. It is checked against the confdb-schema first. ETag has the revision;
//	@Description	If-Match refuses the change where another was faster.
//	@Tags			target
//	@ID				put-target
//	@Param			If-Match		header		string				false	"The ETag that the layer has to have"
//	@Param			If-None-Match	header		string				false	"*: only where it was never set"
//	@Param			dry-run			query		bool				false	"Only tell what would change"
//	@Param			body			body		serverapi.Document	true	"The configuration that all devices are to have"
//	@Success		200				{object}	serverapi.Document	"The target as it is kept"
//	@Failure		401				{object}	serverapi.Problem	"A token of an operator is needed"
//	@Failure		403				{object}	serverapi.Problem	"The token is read-only; or a browser sent it on behalf of another site's page"
//	@Failure		412				{object}	serverapi.Problem	"The target has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem	"The body is too large"
//	@Failure		415				{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem	"The body is not as it must be, or the confdb-schema does not take the target; errors names the fields"
//	@Failure		503				{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/target-config/ [put]
func (h *handlers) putTarget(c echo.Context) error {
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone}}
	if err := h.decode(c, field{name: "config", read: configuration(&change.Config)}); err != nil {
		return err
	}
	if dry, err := h.dryRun(c, change); dry || err != nil {
		return err
	}
	layer, err := h.change(c, change)
	if err != nil {
		return err
	}
	return answerJSON(c, document{Config: layer.Config})
}

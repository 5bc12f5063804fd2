package api

import (
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// getTarget shows the target.
//
//	@Summary		Show the target configuration
//	@Description	The configuration that all devices are to have; {} when none was ever set.
//	@Tags			target
//	@ID				get-target
//	@Success		200	{object}	serverapi.Document	"The target"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot read it; Retry-After says when to try again"
//	@Router			/target-config/ [get]
func (h *handlers) getTarget(c echo.Context) error {
	target, err := h.fleet.Target(c.Request().Context())
	if err != nil {
		return err
	}
	return answerJSON(c, document{Config: target})
}

// putTarget replaces the target.
//
//	@Summary		Replace the target configuration
//	@Description	Devices get it with their next poll, when they are not in step with it. View names lead to the values
//	@Description	that the views are to show; null asks a device to unset a value.
//	@Tags			target
//	@ID				put-target
//	@Param			body	body		serverapi.Document	true	"The configuration that all devices are to have"
//	@Success		200		{object}	serverapi.Document	"The target as it is kept"
//	@Failure		403		{object}	serverapi.Problem	"A browser sent it on behalf of another site's page"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is not as it must be; errors names the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/target-config/ [put]
func (h *handlers) putTarget(c echo.Context) error {
	var target fleet.Config
	if err := h.decode(c, field{"config", configuration(&target)}); err != nil {
		return err
	}
	if err := h.fleet.SetTarget(c.Request().Context(), target); err != nil {
		return err
	}
	return answerJSON(c, document{Config: target})
}

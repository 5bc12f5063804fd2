package api

import (
	"net/http"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// document is serverapi.Document with the configuration's own text, in which numbers keep their digits.
type document struct {
	Config fleet.Config `json:"config"`
}

// poll takes a device's report.
//
//	@Summary		Report a device's configuration, and get the target
//	@Description	A device is in step when every leaf of the target equals what it reports. Arrays are compared whole;
//	@Description	null in the target means that the device must not report the value; an empty object demands nothing.
//	@Description	A report that equals the one before costs the server no write.
//	@Tags			devices
//	@ID				poll
//	@Param			body	body		serverapi.PollRequest	true	"The device, and its current configuration"
//	@Success		200		{object}	serverapi.Document		"Not in step: the target to apply"
//	@Success		204		"In step: there is nothing to do"
//	@Failure		400		{object}	serverapi.Problem	"Agent not registered"
//	@Failure		403		{object}	serverapi.Problem	"A browser sent it on behalf of another site's page"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is not as it must be; errors names the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot keep it; Retry-After says when to try again"
//	@Router			/poll/ [post]
func (h *handlers) poll(c echo.Context) error {
	var id uuid.UUID
	var config fleet.Config
	if err := h.decode(c, field{"uuid", deviceID(&id)}, field{"config", configuration(&config)}); err != nil {
		return err
	}
	target, inStep, err := h.fleet.Poll(c.Request().Context(), id, config)
	if err != nil {
		return err
	}
	if inStep {
		return c.NoContent(http.StatusNoContent)
	}
	return answerJSON(c, document{Config: target})
}

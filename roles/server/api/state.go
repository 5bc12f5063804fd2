package api

import (
	"errors"
	"net/http"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// deviceState is serverapi.State with the configuration as text.
type deviceState struct {
	Registered int64 `json:"registered"`
	serverapi.RegisterRequest
	Config fleet.Config `json:"config"`
}

// state shows a device's registration and its last reported configuration.
//
//	@Summary		Show a device's registration and last report
//	@Description	The answer has the device's registration, and the configuration that it reported last: {} before its
//	@Description	first poll.
//	@Tags			devices
//	@ID				get-state
//	@Param			uuid	path		string				true	"The device: its UUID, the beginning of its UUID if no other begins so, or its name"
//	@Success		200		{object}	serverapi.State		"The device"
//	@Failure		400		{object}	serverapi.Problem	"Agent registration not found"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		422		{object}	serverapi.Problem	"Neither a UUID, nor the beginning of one, nor a name"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/state/{uuid}/ [get]
func (h *handlers) state(c echo.Context) error {
	id, err := h.device(c)
	var device fleet.View
	if err == nil {
		device, err = h.fleet.Device(c.Request().Context(), id)
	}
	if errors.Is(err, fleet.ErrUnknownDevice) {
		return newProblem(http.StatusBadRequest, serverapi.RegistrationAbsent)
	}
	if err != nil {
		return err
	}
	return answerJSON(c, deviceState{
		Registered:      device.Registered.Unix(),
		RegisterRequest: wireIdentity(device.Identity),
		Config:          device.Report.Config,
	})
}

// answerJSON answers 200 with JSON. It does not escape texts for HTML.
func answerJSON(c echo.Context, value any) error {
	body, err := jsonvalue.EncodeLines(value, "")
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, body)
}

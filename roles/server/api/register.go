package api

import (
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// register makes a device known.
//
//	@Summary		Register a device
//	@Description	Gives the device a new UUID (version 4), under which it polls from then on. A device calls once and keeps
//	@Description	the answer. One that missed it may call again: a public key that is known already brings back the
//	@Description	registration as it was made then.
//	@Tags			devices
//	@ID				register
//	@Param			body	body		serverapi.RegisterRequest	true	"What the device tells of itself"
//	@Success		200		{object}	serverapi.RegisterResponse	"Registered"
//	@Failure		403		{object}	serverapi.Problem			"A browser sent it on behalf of another site's page"
//	@Failure		413		{object}	serverapi.Problem			"The body is too large"
//	@Failure		415		{object}	serverapi.Problem			"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem			"The body is not as it must be; errors names the fields"
//	@Failure		503		{object}	serverapi.Problem			"The server cannot keep it; Retry-After says when to try again"
//	@Router			/register/ [post]
func (h *handlers) register(c echo.Context) error {
	var identity fleet.Identity
	err := h.decode(c,
		field{"ip-address", ipAddress(&identity.IPAddress)},
		field{"public-key-rsa", text(&identity.PublicKeyRSA, 16<<10)},
		field{"arch", text(&identity.Arch, 64)},
	)
	if err != nil {
		return err
	}
	device, err := h.fleet.Register(c.Request().Context(), identity)
	if err != nil {
		return err
	}
	return answerJSON(c, serverapi.RegisterResponse{
		UUID:            device.ID,
		Registered:      device.Registered.Unix(),
		RegisterRequest: wireIdentity(device.Identity),
	})
}

func wireIdentity(identity fleet.Identity) serverapi.RegisterRequest {
	return serverapi.RegisterRequest{
		IPAddress:    identity.IPAddress,
		PublicKeyRSA: identity.PublicKeyRSA,
		Arch:         identity.Arch,
	}
}

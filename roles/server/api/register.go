package api

import (
	"strconv"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// registration is serverapi.RegisterResponse without the token.
type registration struct {
	UUID       string `json:"uuid"`
	Registered int64  `json:"registered"`
	serverapi.RegisterRequest
	Status string `json:"status"`
}

// register registers a device.
//
//	@Summary		Register a device
//	@Description	Gives the device a new UUID (version 4), with which it polls. A device registers once and keeps the
//	@Description	answer. A device that missed the answer registers again: the server knows its public key, and answers
//	@Description	with the first registration. The names of labels that a device says of itself get the prefix "device.";
//	@Description	labels of the enrolment token have no prefix.
//	@Tags			device
//	@ID				register-device
//	@Param			body	body		serverapi.RegisterRequest	true	"The device's description of itself"
//	@Success		200		{object}	serverapi.RegisterResponse	"Registered"
//	@Failure		401		{object}	serverapi.Problem			"The signature is missing, wrong or expired; type says which"
//	@Failure		403		{object}	serverapi.Problem			"The enrolment token is invalid, or the device is revoked; or a browser sent the request for another site's page"
//	@Failure		413		{object}	serverapi.Problem			"The body is too large"
//	@Failure		415		{object}	serverapi.Problem			"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem			"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem			"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/register/ [post]
func (h *handlers) register(c echo.Context) error {
	c.Response().Header().Set(serverapi.PollInterval, strconv.FormatInt(int64(h.fleet.PollInterval()/time.Second), 10))
	var identity fleet.Identity
	var given fleet.Labels
	var token string
	err := h.decode(c,
		field{name: "ip-address", read: ipAddress(&identity.IPAddress)},
		field{name: "public-key-rsa", read: text(&identity.PublicKeyRSA, 16<<10)},
		field{name: "arch", read: text(&identity.Arch, 64)},
		field{name: "labels", read: labels(&given), optional: true},
		field{name: "enrolment-token", read: text(&token, 1000), optional: true},
	)
	if err != nil {
		return err
	}
	device, err := h.enrol(c, identity, given, token)
	if err != nil {
		return err
	}
	request := wireIdentity(device.Identity)
	request.Labels = device.Labels
	return answerJSON(c, registration{
		UUID: device.ID.String(), Registered: device.Registered.Unix(), RegisterRequest: request,
		Status: device.Status.String(),
	})
}

func wireIdentity(identity fleet.Identity) serverapi.RegisterRequest {
	return serverapi.RegisterRequest{
		IPAddress:    identity.IPAddress,
		PublicKeyRSA: identity.PublicKeyRSA,
		Arch:         identity.Arch,
	}
}

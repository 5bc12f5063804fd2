package api

import (
	"errors"
	"fmt"
	"net/http"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// replaceKey replaces a device's key.
//
//	@Summary		Replace a device's key
//	@Description	The device signs the request with its present key. The proof is a signature with the new key, over the
//	@Description	device's UUID and the IDs of both keys: it shows that the device has the new key. After the answer the
//	@Description	old key is no longer valid. A device that missed the answer repeats the request, signed with the new
//	@Description	key.
//	@Tags			device
//	@ID				replace-key
//	@Param			body	body	serverapi.KeyRequest	true	"The new key"
//	@Success		204		"The new key is the device's"
//	@Failure		401		{object}	serverapi.Problem	"The signature is missing, wrong or expired; type says which"
//	@Failure		403		{object}	serverapi.Problem	"The device is pending or revoked, as type says; or it does not sign"
//	@Failure		409		{object}	serverapi.Problem	"The new key is another device's, or revoked"
//	@Failure		413		{object}	serverapi.Problem	"The body is too large"
//	@Failure		415		{object}	serverapi.Problem	"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem	"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/keys/ [post]
func (h *handlers) replaceKey(c echo.Context) error {
	var id uuid.UUID
	var key, proof string
	err := h.decode(c,
		field{name: "uuid", read: deviceID(&id)},
		field{name: "public-key-rsa", read: text(&key, 16<<10)},
		field{name: "proof", read: text(&proof, 4<<10)},
	)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	caller := access.From(ctx)
	if caller.Kind != access.Device {
		return newProblem(http.StatusForbidden, "Only a device that signs its requests has a key to replace")
	}
	if err := h.gate.Speaks(ctx, caller, id); err != nil {
		return err
	}
	if caller.Unconfirmed != nil {
		return fmt.Errorf("%w: whether the request came before cannot be found out: %w", fleet.ErrUnavailable, caller.Unconfirmed)
	}
	device, err := h.fleet.Device(ctx, id)
	if err != nil {
		return err
	}
	if err := access.Refused(device.Status.String()); err != nil {
		return err
	}
	if fleet.KeyID(key) == caller.KeyID {
		return c.NoContent(http.StatusNoContent) // a repeated request: the answer was lost
	}
	switch _, err := sign.VerifySuccession(id, caller.KeyID, key, proof); {
	case errors.Is(err, sign.ErrKey):
		return fieldProblem(serverapi.FieldProblem{Field: "public-key-rsa", Message: "cannot be taken: " + err.Error()})
	case errors.Is(err, sign.ErrSignature):
		return fieldProblem(serverapi.FieldProblem{Field: "proof",
			Message: "must be the new key's signature over device, old and new key"})
	case err != nil:
		return err
	}
	err = h.fleet.SetKey(ctx, id, caller.KeyID, key)
	switch {
	case errors.Is(err, fleet.ErrExists):
		return newProblem(http.StatusConflict, "Another device has this key")
	case errors.Is(err, fleet.ErrRevoked):
		return newProblem(http.StatusConflict, "An operator has revoked this key, with another device")
	case err != nil:
		return err
	}
	h.gate.Forget(id)
	return c.NoContent(http.StatusNoContent)
}

package api

import (
	"net/http"

	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// listRevokedKeys lists the revoked keys of removed devices.
//
//	@Summary		List the revoked keys of removed devices
//	@Description	A key stays revoked when its device is deleted: no device can register or poll with it. The oldest come
//	@Description	first.
//	@Tags			devices
//	@ID				list-revoked-keys
//	@Success		200	{object}	serverapi.RevokedKeys	"The keys"
//	@Failure		401	{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		503	{object}	serverapi.Problem		"The server cannot read its store; Retry-After says when to try again"
//	@Router			/revoked-keys/ [get]
func (h *handlers) listRevokedKeys(c echo.Context) error {
	keys, err := h.fleet.RevokedKeys(c.Request().Context())
	if err != nil {
		return err
	}
	list := serverapi.RevokedKeys{RevokedKeys: []serverapi.RevokedKey{}}
	for _, key := range keys {
		list.RevokedKeys = append(list.RevokedKeys, serverapi.RevokedKey{KeyID: key.KeyID, UUID: key.Device, At: key.At.Unix()})
	}
	return answerJSON(c, list)
}

// allowKey permits the registration with a revoked key.
//
//	@Summary		Allow a revoked key
//	@Description	A device can register with the key again, as a new device.
//	@Tags			devices
//	@ID				allow-key
//	@Param			key	path	string	true	"ID of the key, from GET /revoked-keys/"
//	@Success		204	"The key is allowed"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404	{object}	serverapi.Problem	"No removed device had this key when it was revoked"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/revoked-keys/{key}/ [delete]
func (h *handlers) allowKey(c echo.Context) error {
	if err := h.fleet.AllowKey(c.Request().Context(), c.Param("key")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

package serverapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// KeyRequest is the body of POST /keys/, which replaces a device's key. The answer is 204.
type KeyRequest struct {
	UUID         uuid.UUID `json:"uuid"`
	PublicKeyRSA string    `json:"public-key-rsa"` // the new key in PEM
	// Proof is the new key's consent to replace the old one; see sign.Signer.Succeed.
	Proof string `json:"proof"`
}

// ReplaceKey replaces the device's key. The client's transport must sign with the present key. After the answer the
// server knows only the new key. If no answer comes, either key may be valid: repeat the request with the new key,
// and a server that has it says so.
func (c *Client) ReplaceKey(ctx context.Context, request KeyRequest) error {
	_, err := c.do(ctx, "replace the key", http.MethodPost, "/keys/", request, nil)
	return err
}

package serverapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// KeyRequest is the body of POST /keys/, which gives a device another key. The answer is 204.
type KeyRequest struct {
	UUID         uuid.UUID `json:"uuid"`
	PublicKeyRSA string    `json:"public-key-rsa"` // PEM; the new one
	// Proof is the new key's word for it: see sign.Signer.Succeed.
	Proof string `json:"proof"`
}

// ReplaceKey gives the device another key. The client's transport has to sign with the present one; from the answer on
// the server knows the new one only. Where no answer comes, either may be the device's: asked again with the new key,
// a server that has it says so.
func (c *Client) ReplaceKey(ctx context.Context, request KeyRequest) error {
	_, err := c.do(ctx, "replace the key", http.MethodPost, "/keys/", request, nil)
	return err
}

package state

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// nextKeyFile has the next key during a rotation. It is written before the server gets the key, and removed when it
// is known which key the server has.
const nextKeyFile = "device-key-next.pem"

// The headers of nextKeyFile: the server and the device of the key.
const (
	serverHeader = "Server"
	deviceHeader = "Device"
)

// A Successor is the content of nextKeyFile.
type Successor struct {
	key    *rsa.PrivateKey
	server string
	device uuid.UUID
}

// successor reads nextKeyFile. It returns nil if there is none.
func (d *Dir) successor() (*Successor, error) {
	path := filepath.Join(d.Path, nextKeyFile)
	text, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the device's next key: %w", err)
	}
	key, headers, err := parsePrivatePEM(text)
	next := &Successor{key: key, server: headers[serverHeader]}
	if err == nil {
		next.device, err = uuid.Parse(headers[deviceHeader])
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the device's next key %s: %w (move it away to give it up)", path, err)
	}
	return next, nil
}

// successorAt is successor for this server. It returns nil if there is none.
func (d *Dir) successorAt(server string) (*Successor, error) {
	next, err := d.successor()
	if err != nil {
		return nil, &Error{Err: err}
	}
	if next == nil || next.server != server {
		return nil, nil
	}
	return next, nil
}

// MakeSuccessor makes a key and stores it as the next one. The caller holds the lock.
func (d *Dir) MakeSuccessor(registration Registration) (*Successor, error) {
	key, err := d.generate()
	if err != nil {
		return nil, err
	}
	next := &Successor{key: key, server: registration.Server, device: registration.UUID}
	text, err := privatePEM(key, map[string]string{serverHeader: next.server, deviceHeader: next.device.String()})
	if err != nil {
		return nil, err
	}
	return next, d.Write(nextKeyFile, text)
}

// succeed replaces the device's key by the successor. The caller holds the lock.
func (d *Dir) succeed(next *Successor) error {
	text, err := privatePEM(next.key, nil)
	if err != nil {
		return err
	}
	if err := d.Write(keyFile, text); err != nil {
		return err
	}
	return d.dropSuccessor()
}

func (d *Dir) dropSuccessor() error { return durable.Remove(filepath.Join(d.Path, nextKeyFile)) }

// ask asks the server to replace the present key by the successor. The request is signed with the key by.
func (n *Successor) ask(ctx context.Context, base http.RoundTripper, by, present *rsa.PrivateKey) error {
	signer, err := sign.NewSigner(by)
	if err != nil {
		return err
	}
	own, err := sign.NewSigner(n.key)
	if err != nil {
		return err
	}
	presentID, err := sign.KeyID(&present.PublicKey)
	if err != nil {
		return err
	}
	request := serverapi.KeyRequest{UUID: n.device}
	if request.PublicKeyRSA, err = publicPEM(&n.key.PublicKey); err != nil {
		return err
	}
	if request.Proof, err = own.Succeed(n.device, presentID); err != nil {
		return err
	}
	client, err := serverapi.NewClient(n.server, serverapi.Options{
		UserAgent: "aspects-poc-control", Transport: sign.NewTransport(signer, sign.Options{Base: base}),
	})
	if err != nil {
		return err
	}
	return client.ReplaceKey(ctx, request)
}

// Refused reports whether the server knows the signing key and has refused the request.
func (*Successor) Refused(err error) bool {
	var answer *serverapi.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Problem.Type {
	case serverapi.ProblemPending, serverapi.ProblemRevoked:
		return true
	}
	// A proxy could also answer 403, but not with the fields.
	return answer.Status == http.StatusConflict || answer.Status == http.StatusUnprocessableEntity && len(answer.Problem.Errors) > 0
}

// PublicKey returns the public half of the next key.
func (n *Successor) PublicKey() *rsa.PublicKey { return &n.key.PublicKey }

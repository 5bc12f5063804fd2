package control

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"aspects-poc/internal/durable"
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

// A successor is the content of nextKeyFile.
type successor struct {
	key    *rsa.PrivateKey
	server string
	device uuid.UUID
}

// successor reads nextKeyFile. It returns nil if there is none.
func (s *State) successor() (*successor, error) {
	path := filepath.Join(s.dir, nextKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the device's next key: %w", err)
	}
	key, headers, err := parsePrivatePEM(text)
	next := &successor{key: key, server: headers[serverHeader]}
	if err == nil {
		next.device, err = uuid.Parse(headers[deviceHeader])
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the device's next key %s: %w (move it away to give it up)", path, err)
	}
	return next, nil
}

// successorAt is successor for this server. It returns nil if there is none.
func (s *State) successorAt(server string) (*successor, error) {
	next, err := s.successor()
	if err != nil {
		return nil, &stateError{err}
	}
	if next == nil || next.server != server {
		return nil, nil
	}
	return next, nil
}

// makeSuccessor makes a key and stores it as the next one. The caller holds the lock.
func (s *State) makeSuccessor(registration Registration) (*successor, error) {
	key, err := s.generate()
	if err != nil {
		return nil, err
	}
	next := &successor{key: key, server: registration.Server, device: registration.UUID}
	text, err := privatePEM(key, map[string]string{serverHeader: next.server, deviceHeader: next.device.String()})
	if err != nil {
		return nil, err
	}
	return next, s.write(nextKeyFile, text)
}

// succeed replaces the device's key by the successor. The caller holds the lock.
func (s *State) succeed(next *successor) error {
	text, err := privatePEM(next.key, nil)
	if err != nil {
		return err
	}
	if err := s.write(keyFile, text); err != nil {
		return err
	}
	return s.dropSuccessor()
}

func (s *State) dropSuccessor() error { return durable.Remove(filepath.Join(s.dir, nextKeyFile)) }

// ask asks the server to replace the present key by the successor. The request is signed with the key by.
func (n *successor) ask(ctx context.Context, base http.RoundTripper, by, present *rsa.PrivateKey) error {
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

// refused reports whether the server knows the signing key and has refused the request.
func (*successor) refused(err error) bool {
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

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot write the public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func privatePEM(key *rsa.PrivateKey, headers map[string]string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for the device: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: headers, Bytes: der}), nil
}

// parsePrivatePEM parses what privatePEM has written.
func parsePrivatePEM(text []byte) (key *rsa.PrivateKey, headers map[string]string, err error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, errors.New("it is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("it is not an RSA key")
	}
	return key, block.Headers, nil
}

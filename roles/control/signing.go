package control

import (
	"errors"
	"io/fs"
	"net/http"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi/sign"
)

// A signing is a transport that signs requests with the device's key on disk. A registration makes that key and a
// rotation replaces it. Requests stay unsigned if the device has no key because somebody else has written its identity
// to the registry.
type signing struct {
	dir  *state.Dir
	base http.RoundTripper
	sign *sign.Transport // has the server's clock
}

func newSigning(dir *state.Dir, base http.RoundTripper) *signing {
	return &signing{dir: dir, base: base, sign: sign.NewTransport(nil, sign.Options{Base: base})}
}

func (s *signing) RoundTrip(request *http.Request) (*http.Response, error) {
	key, err := s.dir.Key()
	if errors.Is(err, fs.ErrNotExist) {
		return s.base.RoundTrip(request)
	}
	var signer *sign.Signer
	if err == nil {
		signer, err = sign.NewSigner(key)
	}
	if err != nil {
		if request.Body != nil {
			err = errors.Join(err, request.Body.Close())
		}
		return nil, &state.Error{Err: err}
	}
	s.sign.SetSigner(signer)
	return s.sign.RoundTrip(request)
}

// CloseIdleConnections closes unused connections.
func (s *signing) CloseIdleConnections() { s.sign.CloseIdleConnections() }

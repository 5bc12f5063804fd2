package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"aspects-poc/roles/serverapi"
)

// maxProblem is how much of a refusal is read, in bytes.
const maxProblem = 64 << 10

// A device ignores a server's clock outside of these times.
var (
	Earliest = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Options are options of NewTransport. The zero value is ready for use.
type Options struct {
	// Base sends the signed requests. Nil means a transport of its own, with the proxies of the environment.
	Base http.RoundTripper
	// Now returns the device's time. Nil means time.Now.
	Now func() time.Time
}

// A Transport signs requests and passes them to another transport. It is safe for concurrent use.
//
// If a server refuses a request because of its time, the Transport adopts the server's clock from the Date of the
// refusal and repeats the request once. Nothing else sets its clock, which lasts as long as the Transport: if the
// device's own clock is corrected later, one request is refused, and the Transport adopts the clock again. Over plain
// HTTP, somebody who answers for the server can make the device sign for a future time.
type Transport struct {
	base   http.RoundTripper
	now    func() time.Time
	signer atomic.Pointer[Signer]
	offset atomic.Int64 // nanoseconds by which the server's clock is ahead
}

var _ http.RoundTripper = (*Transport)(nil)

// NewTransport returns a Transport that signs with signer.
func NewTransport(signer *Signer, options Options) *Transport {
	transport := &Transport{base: options.Base, now: options.Now}
	if transport.base == nil {
		transport.base = http.DefaultTransport.(*http.Transport).Clone()
	}
	if transport.now == nil {
		transport.now = time.Now
	}
	transport.signer.Store(signer)
	return transport
}

// Signer returns the present signer.
func (t *Transport) Signer() *Signer { return t.signer.Load() }

// SetSigner sets the signer for later requests.
func (t *Transport) SetSigner(signer *Signer) { t.signer.Store(signer) }

// Offset returns how far the server's clock is ahead of the device's; zero while nothing is known. It is negative if
// the server's clock is behind.
func (t *Transport) Offset() time.Duration { return time.Duration(t.offset.Load()) }

// CloseIdleConnections closes unused connections of the base transport.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := readBody(request)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a request: %w", err)
	}
	response, err := t.send(request, body)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !t.learn(response) {
		return response, err
	}
	if err := response.Body.Close(); err != nil {
		return nil, err
	}
	return t.send(request, body)
}

func (t *Transport) send(request *http.Request, body []byte) (*http.Response, error) {
	signed := request.Clone(request.Context())
	host := request.Host
	if host == "" {
		host = request.URL.Host
	}
	signed.Host = Authority(request.URL.Scheme, host) // the signed form, because the server may not know its own scheme
	if request.Body != nil && request.Body != http.NoBody {
		signed.Body = io.NopCloser(bytes.NewReader(body))
		signed.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		signed.ContentLength = int64(len(body))
	}
	if err := t.Signer().Sign(signed, body, t.now().Add(t.Offset())); err != nil {
		return nil, err
	}
	response, err := t.base.RoundTrip(signed)
	if err == nil {
		response.Request = signed // for Proves
	}
	return response, err
}

// learn adopts the server's clock if the server has refused a request because of its time, and reports whether it did.
// The body can still be read.
func (t *Transport) learn(response *http.Response) bool {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" {
		return false
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(content), response.Body), response.Body}
	var problem serverapi.Problem
	if err != nil || json.Unmarshal(content, &problem) != nil || problem.Type != serverapi.ProblemClock {
		return false
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil || date.Before(Earliest) || date.After(latest) {
		return false
	}
	t.offset.Store(int64(date.Sub(t.now())))
	return true
}

// readBody reads and closes the body.
func readBody(request *http.Request) ([]byte, error) {
	if request.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(request.Body)
	return body, errors.Join(err, request.Body.Close())
}

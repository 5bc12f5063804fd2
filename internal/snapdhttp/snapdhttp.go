// Package snapdhttp has the parts of snapd's protocol that REST and snapctl share: HTTP over a unix socket (Client),
// the envelope of each answer (Response), versions, and the meaning of refusals (Explain).
//
// Packages snapd and snapctl build the requests for views:
//
//	client := snapdhttp.New("/run/snapd.socket")
//	response, err := client.Do(ctx, http.MethodGet, "/v2/system-info", nil, nil)
//	if err != nil {
//		return snapdhttp.Lost(err, request, false) // a *TransportError: no answer
//	}
//	if refusal := response.Refusal(); refusal != nil {
//		return snapdhttp.Explain(*refusal, request)
//	}
package snapdhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// maxAnswer is the largest size of an answer in bytes. snapd does not limit values; the longest real answer is a list
// of assertions or a whole databag.
const maxAnswer = 64 << 20

// A Client speaks HTTP over one unix socket. Each request has its own connection. To open one takes microseconds, and an idle one
// would be dead after a restart of snapd. A Client is safe for concurrent use. It has no timeout; contexts set the limits.
type Client struct {
	socket string
	http   *http.Client
}

// New returns a client for a unix socket. It does not connect.
func New(socket string) *Client {
	dialer := &net.Dialer{}
	return &Client{
		socket: socket,
		http: &http.Client{
			Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return dialer.DialContext(ctx, "unix", socket)
				},
			},
			// snapd never redirects.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Socket returns the path of the socket.
func (c *Client) Socket() string { return c.socket }

// A TransportError means that a request got no usable answer.
type TransportError struct {
	Socket string
	// Sent reports whether a part of the request may have reached the daemon, so that it may have been carried out.
	Sent bool
	Err  error
}

func (e *TransportError) Error() string {
	if e.Sent {
		return fmt.Sprintf("lost snapd's answer on %s: %v", e.Socket, e.Err)
	}
	return fmt.Sprintf("cannot reach snapd on %s: %v", e.Socket, e.Err)
}

// Unwrap returns the cause, such as a *net.OpError or a context's error.
func (e *TransportError) Unwrap() error { return e.Err }

// Do sends one request and decodes the envelope of the answer. A non-nil body is sent as JSON. The error is a
// *TransportError, or another error if JSON cannot express the body. A refusal by snapd is not an error; see
// Response.Refusal.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body any) (*Response, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("cannot encode request: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	target := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}

	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	request, err := http.NewRequestWithContext(traced, method, target.String(), reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make request: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	lost := func(err error) error {
		// Callers test for the context's error, which is also clearer than "i/o timeout".
		if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
			err = fmt.Errorf("%w (%w)", ctxErr, err)
		}
		return &TransportError{Socket: c.socket, Sent: sent.Load(), Err: err}
	}
	answer, err := c.http.Do(request)
	if err != nil {
		var wrapped *url.Error // repeats method and URL
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, lost(err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end, or broken
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, lost(err)
	}
	if len(text) > maxAnswer {
		return nil, lost(fmt.Errorf("answer of more than %d bytes", maxAnswer))
	}
	response, err := DecodeResponse(answer.StatusCode, text)
	if err != nil {
		return nil, lost(err)
	}
	return response, nil
}

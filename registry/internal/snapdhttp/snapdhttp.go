// Package snapdhttp is what every conversation with snapd has in common, whether REST or snapctl: HTTP over a unix
// socket, the envelope around each answer, the version that is behind it, and what its refusals mean.
//
// It knows nothing of views. Packages snapd and snapctl build requests with it and turn refusals into backend.Error:
//
//	client := snapdhttp.New("/run/snapd.socket")
//	response, err := client.Do(ctx, http.MethodGet, "/v2/system-info", nil, nil)
//	if err != nil {
//		return snapdhttp.Lost(op, err) // *TransportError: nothing was answered
//	}
//	if refusal := response.Refusal(); refusal != nil {
//		return snapdhttp.Explain(*refusal, snapdhttp.Request{Op: "get", View: view})
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

// maxAnswer bounds what is read of one answer, in bytes. snapd sets no limit on values; the longest honest answer is a
// list of assertions or a whole databag.
const maxAnswer = 64 << 20

// A Client speaks HTTP over one unix socket. Each request has its own connection: over a unix socket that costs
// microseconds, and a snapd that restarted between two requests cannot leave a dead one behind. It is safe for
// concurrent use and has no time limit of its own: contexts set it.
type Client struct {
	socket string
	http   *http.Client
}

// New returns a client of the daemon that listens on a unix socket. Nothing is dialled before the first request.
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
			// snapd never redirects; whoever does is not snapd.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Socket returns the path of the socket.
func (c *Client) Socket() string { return c.socket }

// A TransportError tells that a request got no answer that could be understood.
type TransportError struct {
	Socket string
	// Sent tells that the request, or a part of it, may have reached the daemon, so that it may have been carried out.
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

// Do sends one request and reads its envelope. A body that is not nil is sent as JSON. The error is a *TransportError,
// or a plain error for a body that JSON cannot express; a refusal by snapd is not an error here, see Response.Refusal.
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
		// The context's own error says more than "i/o timeout", and callers look for it.
		if ctxErr := ctx.Err(); ctxErr != nil && !errors.Is(err, ctxErr) {
			err = fmt.Errorf("%w (%w)", ctxErr, err)
		}
		return &TransportError{Socket: c.socket, Sent: sent.Load(), Err: err}
	}
	answer, err := c.http.Do(request)
	if err != nil {
		var wrapped *url.Error // repeats method and URL, which means nothing to anybody here
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, lost(err)
	}
	defer func() { _ = answer.Body.Close() }() // read to its end, or broken: nothing to learn from closing
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

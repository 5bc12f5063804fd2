// Package testclient sends requests to a server on a unix socket, for tests of that server. Its functions are New, Send and SendRaw.
//
//	client := testclient.New(socket)
//	status, answer := testclient.Send(t, client, "GET /v2/changes", nil)
package testclient

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// New returns a client for a socket. It opens a connection for each request.
func New(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// Send sends a request, given as METHOD and URI, and returns the status and the JSON object of the answer. A body that is a
// string is sent as it is, any other body as JSON.
func Send(t testing.TB, client *http.Client, request string, body any) (int, map[string]any) {
	t.Helper()
	status, text := SendRaw(t, client, request, body)
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s: %v: %s", request, err, text)
	}
	return status, answer
}

// SendRaw is Send for answers of any form.
func SendRaw(t testing.TB, client *http.Client, request string, body any) (int, []byte) {
	t.Helper()
	method, uri, _ := strings.Cut(request, " ")
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+uri, reader)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}

package snapdhttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"aspects-poc/internal/snapdhttp"
)

// serve answers on a unix socket until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return socket
}

func TestDo(t *testing.T) {
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type") + " " + string(body)
		if want := `PUT /v2/confdb/a/b/c?keys=x application/json {"values":{"x":null}}`; got != want {
			t.Errorf("request is %s, want %s", got, want)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"type":"async","status-code":202,"status":"Accepted","result":null,"change":"50"}`)
	})
	response, err := snapdhttp.New(socket).Do(t.Context(), http.MethodPut, "/v2/confdb/a/b/c",
		map[string][]string{"keys": {"x"}}, map[string]any{"values": map[string]any{"x": nil}})
	if err != nil {
		t.Fatal(err)
	}
	if response.Type != snapdhttp.TypeAsync || response.Change != "50" || response.Refusal() != nil {
		t.Errorf("got %+v", response)
	}
}

func TestDoTellsWhetherItWasSent(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	drop := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	html := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	short := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
	})
	tests := []struct {
		name, socket string
		ctx          context.Context
		sent         bool
		is           error
	}{
		{name: "no socket", socket: filepath.Join(t.TempDir(), "none"), ctx: t.Context()},
		{name: "cancelled before", socket: html, ctx: cancelled, is: context.Canceled},
		{name: "connection dropped", socket: drop, ctx: t.Context(), sent: true},
		{name: "cut off", socket: short, ctx: t.Context(), sent: true, is: io.ErrUnexpectedEOF},
		{name: "not an envelope", socket: html, ctx: t.Context(), sent: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := snapdhttp.New(test.socket).Do(test.ctx, http.MethodPut, "/v2/x", nil, map[string]any{})
			var transport *snapdhttp.TransportError
			if !errors.As(err, &transport) {
				t.Fatalf("got %v, want a *TransportError", err)
			}
			if transport.Sent != test.sent {
				t.Errorf("Sent is %v, want %v (%v)", transport.Sent, test.sent, err)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v", err, test.is)
			}
		})
	}
}

func TestDoRefusesWhatJSONCannotSay(t *testing.T) {
	_, err := snapdhttp.New("none").Do(t.Context(), http.MethodPut, "/", nil, func() {})
	var transport *snapdhttp.TransportError
	if err == nil || errors.As(err, &transport) {
		t.Errorf("got %v, want an error before anything is sent", err)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"2.77.1-2": "2.77", "2.68.3-3+deb13u1+b7": "2.68", "2.66.1+git123.gabcdef": "2.66", "2.75.2.1": "2.75",
		"2.61": "2.61", "2.75.2~rc1": "2.75", "3.0": "3.0", "unknown": "", "": "", "2": "", "2.": "", "2.777777": "",
	} {
		version, found := snapdhttp.ParseVersion(text)
		if found != (want != "") || found && version.String() != want {
			t.Errorf("ParseVersion(%q) = %v, %v; want %q", text, version, found, want)
		}
	}
	if v, _ := snapdhttp.ParseVersion("2.69"); v.AtLeast(2, 70) || !v.AtLeast(2, 69) || !v.AtLeast(1, 99) || v.AtLeast(3, 0) {
		t.Error("2.69 is at the wrong place")
	}
}

package oracle

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
)

// A door is a handler for real devices. It passes their requests on to one of the servers, and records what they have
// reported and which reports were answered.
type door struct{ h *harness }

// ServeHTTP implements http.Handler.
func (d door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the device has closed the connection
	}
	h := d.h
	var poll serverapi.PollRequest
	polls := strings.HasPrefix(r.URL.Path, "/poll/") && jsonvalue.DecodeFirst(body, &poll) == nil
	var under sending
	h.mu.Lock()
	model := h.model
	if polls {
		under = h.sent(poll)
		under.held = r.Header.Get("Prefer") != ""
	}
	h.mu.Unlock()
	response, content, err := d.pass(r, body)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case polls && err != nil:
		under.end(err)
	case polls && response.StatusCode >= 300:
		under.end(&serverapi.Error{Status: response.StatusCode})
	case polls:
		h.figures.Polls++
		if response.StatusCode == http.StatusOK {
			h.figures.Offers++
		}
		under.end(nil)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // behave as a stopped server
	}
	var registered serverapi.RegisterResponse
	if strings.HasPrefix(r.URL.Path, "/register/") && response.StatusCode == http.StatusOK && jsonvalue.DecodeFirst(content, &registered) == nil &&
		h.model == model && model.entries[registered.UUID] == nil {
		model.entries[registered.UUID] = &entry{id: registered.UUID, status: serverapi.Active, labels: maps.Clone(registered.Labels),
			answered: time.Now(), asked: time.Now()}
	}
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(content) // the device may have closed the connection
}

// pass sends the device's request to a server. It preserves the host, because the signature covers it.
func (d door) pass(r *http.Request, body []byte) (*http.Response, []byte, error) {
	server := rand.IntN(d.h.world.Servers())
	request, err := http.NewRequestWithContext(r.Context(), r.Method, d.h.world.URL(server)+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header, request.Host = r.Header.Clone(), r.Host
	response, err := d.h.world.Transport().RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }() // already read
	content, err := io.ReadAll(response.Body)
	return response, content, err
}

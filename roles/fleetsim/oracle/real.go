package oracle

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"
)

// A door is where real devices come in: it passes what they say on to one of the servers, and takes down what they have
// said of themselves and what of it was answered.
type door struct{ h *harness }

// ServeHTTP implements http.Handler.
func (d door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the device has left
	}
	h := d.h
	var poll serverapi.PollRequest
	polls := strings.HasPrefix(r.URL.Path, "/poll/") && decode(body, &poll) == nil
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
		panic(http.ErrAbortHandler) // as a server that is away
	}
	var registered serverapi.RegisterResponse
	if strings.HasPrefix(r.URL.Path, "/register/") && response.StatusCode == http.StatusOK && decode(content, &registered) == nil &&
		h.model == model && model.entries[registered.UUID] == nil {
		model.entries[registered.UUID] = &entry{id: registered.UUID, status: serverapi.Active, labels: maps.Clone(registered.Labels),
			answered: time.Now(), asked: time.Now()}
	}
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(content) // the device may have left
}

func decode(content []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// pass asks a server in the device's place. The signature covers the host that the device knows.
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
	defer func() { _ = response.Body.Close() }() // it has been read
	content, err := io.ReadAll(response.Body)
	return response, content, err
}

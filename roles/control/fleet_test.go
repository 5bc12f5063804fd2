package control_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// A fleet is a server that is reached without a network, so that time can be driven.
type fleet struct {
	mu         sync.Mutex // guards all below
	away       bool       // nobody answers
	revoked    bool       // an operator has revoked the device
	hangs      bool       // answers come when the client gives up
	target     serverapi.Config
	registered []serverapi.RegisterRequest
	known      map[uuid.UUID]serverapi.Config // what each reported last
	polls      int
	asked      int                                // requests, answered or not
	before     func(path string, r *http.Request) // called before an answer, without the lock
}

func (f *fleet) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.asked++
	away, hangs, before := f.away, f.hangs, f.before
	f.mu.Unlock()
	if away {
		return nil, errors.New("connection refused")
	}
	if hangs {
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	recorder := httptest.NewRecorder()
	f.answer(recorder, request.URL.Path, body)
	if before != nil {
		before(request.URL.Path, request)
	}
	return recorder.Result(), nil
}

func (f *fleet) answer(w http.ResponseWriter, path string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[uuid.UUID]serverapi.Config{}
	}
	switch path {
	case "/register/":
		var request serverapi.RegisterRequest
		decode(body, &request)
		id := uuid.New()
		f.known[id] = nil
		f.registered = append(f.registered, request)
		send(w, http.StatusOK, serverapi.RegisterResponse{UUID: id, Registered: 1719407517, RegisterRequest: request})
	case "/poll/":
		var request serverapi.PollRequest
		decode(body, &request)
		f.polls++
		if f.revoked {
			send(w, http.StatusForbidden, serverapi.Problem{Status: 403, Type: serverapi.ProblemRevoked})
			return
		}
		if _, known := f.known[request.UUID]; !known {
			send(w, http.StatusBadRequest, serverapi.Problem{Status: 400, Detail: serverapi.NotRegistered})
			return
		}
		f.known[request.UUID] = request.Config
		if within(map[string]any(f.target), map[string]any(request.Config)) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		send(w, http.StatusOK, serverapi.Document{Config: f.target})
	default:
		send(w, http.StatusNotFound, serverapi.Problem{Status: 404})
	}
}

// within reports whether each leaf of the target is in the report.
func within(target, report any) bool {
	object, ok := target.(map[string]any)
	if !ok {
		return reflect.DeepEqual(normal(target), normal(report))
	}
	found, _ := report.(map[string]any)
	for key, value := range object {
		if !within(value, found[key]) {
			return false
		}
	}
	return true
}

func normal(value any) (shaped any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	decode(text, &shaped)
	return shaped
}

func decode(text []byte, dst any) {
	if err := json.Unmarshal(text, dst); err != nil {
		panic(err)
	}
}

func send(w http.ResponseWriter, status int, body any) {
	var buffer bytes.Buffer
	if err := json.NewEncoder(&buffer).Encode(body); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(buffer.Bytes())
}

// change changes the fleet while others may use it.
func (f *fleet) change(change func(*fleet)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// figures returns registrations, polls and requests so far.
func (f *fleet) figures() (registrations, polls, asked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.registered), f.polls, f.asked
}

// reported returns what the only device reported last, as plain JSON shapes.
func (f *fleet) reported(t *testing.T) map[string]any {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, config := range f.known {
		if config != nil {
			return normal(map[string]any(config)).(map[string]any)
		}
	}
	t.Error("no device has reported")
	return nil
}

// key is one key for all tests: making one takes long.
var key = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// role is the control role in this fleet, on a machine with these interfaces.
func (f *fleet) role(links ...netdev.Link) roles.Role {
	return control.RoleOn(control.Machine{Transport: f, NewKey: key, Links: func() ([]netdev.Link, error) {
		return append([]netdev.Link{}, links...), nil
	}})
}

// TestOlderServer polls a server that knows neither instances nor proofs, and gets its target.
func TestOlderServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.server.older = true
		run := m.start()
		m.server.want(telemetry(map[string]any{"sample-rate": 5}))
		time.Sleep(3 * time.Minute)
		if kept := m.agree(t); kept.running != kept.desired {
			t.Errorf("the server believes %+v", kept)
		}
		run.Stop()
	})
}

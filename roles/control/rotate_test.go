package control_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// A keyServer knows devices by their keys alone, as the fleet server does, and no device that does not sign.
type keyServer struct {
	mu      sync.Mutex // guards all below
	holders map[string]uuid.UUID
	keys    map[string]*rsa.PublicKey
	polls   int
	refuse  *serverapi.Problem // of what is asked at /keys/
}

func newKeyServer() *keyServer {
	return &keyServer{holders: map[string]uuid.UUID{}, keys: map[string]*rsa.PublicKey{}}
}

func (s *keyServer) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer(recorder, request, body)
	return recorder.Result(), nil
}

func (s *keyServer) answer(w http.ResponseWriter, request *http.Request, body []byte) {
	input, err := sign.ParseInput(request.Header)
	if err != nil {
		send(w, 401, serverapi.Problem{Status: 401, Type: serverapi.ProblemUnsigned})
		return
	}
	var register serverapi.RegisterRequest
	key := s.keys[input.KeyID]
	if request.URL.Path == "/register/" {
		decode(body, &register)
		if key, err = sign.ParsePublicKey(register.PublicKeyRSA); err != nil {
			panic(err)
		}
	}
	if key == nil {
		send(w, 401, serverapi.Problem{Status: 401, Type: serverapi.ProblemUnknownKey})
		return
	}
	text, err := sign.Received(request).Base(input)
	if err == nil {
		err = sign.Verify(key, text, input.Signature)
	}
	if err != nil || sign.Digest(body) != request.Header.Get(sign.DigestHeader) {
		send(w, 401, serverapi.Problem{Status: 401, Type: serverapi.ProblemSignature})
		return
	}
	switch request.URL.Path {
	case "/register/":
		if _, known := s.holders[input.KeyID]; !known {
			s.holders[input.KeyID], s.keys[input.KeyID] = uuid.New(), key
		}
		send(w, 200, serverapi.RegisterResponse{UUID: s.holders[input.KeyID], Registered: 1719407517, RegisterRequest: register})
	case "/poll/":
		s.polls++
		w.WriteHeader(204)
	case "/keys/":
		s.replace(w, input.KeyID, body)
	}
}

func (s *keyServer) replace(w http.ResponseWriter, keyID string, body []byte) {
	var wanted serverapi.KeyRequest
	decode(body, &wanted)
	next, err := sign.ParsePublicKey(wanted.PublicKeyRSA)
	if err != nil {
		panic(err)
	}
	nextID, err := sign.KeyID(next)
	switch {
	case err != nil:
		panic(err)
	case s.refuse != nil:
		send(w, s.refuse.Status, *s.refuse)
		return
	case nextID != keyID:
		if _, err := sign.VerifySuccession(wanted.UUID, keyID, wanted.PublicKeyRSA, wanted.Proof); err != nil {
			send(w, 422, serverapi.Problem{Status: 422, Errors: []serverapi.FieldProblem{{Field: "proof", Message: err.Error()}}})
			return
		}
		s.holders[nextID], s.keys[nextID] = s.holders[keyID], next
		delete(s.holders, keyID)
		delete(s.keys, keyID)
	}
	w.WriteHeader(204)
}

// devices returns whom the server knows, by the IDs of their keys.
func (s *keyServer) devices() map[string]uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.holders)
}

// A rotator is a device of a keyServer; it makes the keys of rolestest.Keys, one after the other.
type rotator struct {
	*rolestest.Store
	server  *keyServer
	dir     string
	made    int
	wire    http.RoundTripper
	replace func(path string, content []byte, mode os.FileMode) error
}

func newRotator(t *testing.T) *rotator {
	t.Helper()
	r := &rotator{Store: rolestest.New(t), server: newKeyServer(), dir: t.TempDir(), replace: quickly}
	r.wire = r.server
	if code, output := r.run("run", "--once"); code != 0 {
		t.Fatalf("exit status %d: %s", code, output)
	}
	return r
}

func (r *rotator) run(words ...string) (code int, output string) {
	role := control.RoleOn(control.Machine{Transport: r.wire, Replace: r.replace, NewKey: func() (*rsa.PrivateKey, error) {
		key := rolestest.Keys()[r.made%3]
		r.made++
		return key, nil
	}})
	run := r.Start(role, rolestest.Options{}, append([]string{"control", words[0], "--state", r.dir}, words[1:]...)...)
	code = run.Wait()
	return code, run.Out.String() + run.Err.String()
}

// settled checks that device and server have one key in common, that nothing else is left, and that the server has one
// device, and returns that and the key's ID.
func (r *rotator) settled(t *testing.T) (device uuid.UUID, keyID string) {
	t.Helper()
	keyID, err := sign.KeyID(&readKey(t, r.dir).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	devices := r.server.devices()
	if len(devices) != 1 || devices[keyID] == uuid.Nil {
		t.Errorf("the device has the key %s, the server knows %v", keyID, devices)
	}
	left, err := filepath.Glob(filepath.Join(r.dir, "device-key*"))
	if err != nil || len(left) != 1 {
		t.Errorf("keys on disk: %v, %v", left, err)
	}
	return devices[keyID], keyID
}

func TestRotateKey(t *testing.T) {
	r := newRotator(t)
	device, before := r.settled(t)
	code, output := r.run("rotate-key")
	same, after := r.settled(t)
	want := fmt.Sprintf("http://127.0.0.1:8000 has the new key %s of device %s.\n", after, device)
	if code != 0 || output != want || same != device || after == before {
		t.Errorf("exit status %d, from %s of %s to %s of %s: %s", code, before, device, after, same, output)
	}
	if code, output := r.run("run", "--once"); code != 0 {
		t.Errorf("control afterwards: exit status %d: %s", code, output)
	}
	if polls := r.server.polls; polls != 2 {
		t.Errorf("%d polls, want 2", polls)
	}
}

// TestRotateKeyRefused: a server that says no leaves the device with its key, one that cannot be reached with both.
func TestRotateKeyRefused(t *testing.T) {
	t.Run("revoked", func(t *testing.T) {
		r := newRotator(t)
		_, before := r.settled(t)
		r.server.refuse = &serverapi.Problem{Status: 403, Type: serverapi.ProblemRevoked, Detail: "revoked"}
		code, output := r.run("rotate-key")
		if _, after := r.settled(t); code != 1 || after != before || !strings.Contains(output, "403 Forbidden: revoked") {
			t.Errorf("exit status %d, key %s: %s", code, after, output)
		}
	})
	t.Run("away", func(t *testing.T) {
		r := newRotator(t)
		r.wire = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no way") })
		code, output := r.run("rotate-key")
		if code != 1 || !strings.Contains(output, "no way; the next poll, or the next rotate-key, finds out whether the server has the new key") {
			t.Errorf("exit status %d: %s", code, output)
		}
		r.wire = r.server
		if code, output := r.run("run", "--once"); code != 0 {
			t.Errorf("exit status %d: %s", code, output)
		}
		r.settled(t)
	})
	t.Run("forgotten", func(t *testing.T) {
		r := newRotator(t)
		clear(r.server.holders)
		clear(r.server.keys)
		if code, output := r.run("rotate-key"); code != 1 || !strings.Contains(output, "does not know this device") {
			t.Errorf("exit status %d: %s", code, output)
		}
		if code, output := r.run("run", "--once"); code != 0 {
			t.Errorf("exit status %d: %s", code, output)
		}
		r.settled(t)
	})
	t.Run("not registered", func(t *testing.T) {
		r := &rotator{Store: rolestest.New(t), server: newKeyServer(), dir: t.TempDir(), replace: quickly}
		if code, output := r.run("rotate-key"); code != 1 || !strings.Contains(output, "is not registered with a server") {
			t.Errorf("exit status %d: %s", code, output)
		}
	})
	t.Run("a next key that is none", func(t *testing.T) {
		r := newRotator(t)
		path := filepath.Join(r.dir, "device-key-next.pem")
		der, err := x509.MarshalPKCS8PrivateKey(rolestest.Keys()[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range [][]byte{[]byte("no key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if code, output := r.run("rotate-key"); code != 1 || !strings.Contains(output, "move it away to give it up") {
				t.Errorf("exit status %d: %s", code, output)
			}
		}
	})
}

// TestRotateKeyCrash kills rotate-key at each step, once before and once after it: the next poll, or the next rotate-key,
// finds out which key the server has. The device is never registered twice.
func TestRotateKeyCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, next := range []string{"run --once", "rotate-key"} {
			t.Run(fmt.Sprintf("after=%v, then %s", after, next), func(t *testing.T) {
				steps := 0
				for rotateCrash(t, steps, after, strings.Fields(next)) {
					steps++
				}
				if steps != 3 { // the next key, the server, the key
					t.Errorf("%d steps", steps)
				}
			})
		}
	}
}

// rotateCrash reports whether there was such a step.
func rotateCrash(t *testing.T, step int, after bool, next []string) bool {
	r := newRotator(t)
	device, before := r.settled(t)
	c := &crash{left: step, after: after, died: func() {}}
	r.replace = func(path string, content []byte, mode os.FileMode) error {
		return c.step(filepath.Base(path), func() error { return quickly(path, content, mode) })
	}
	r.wire = roundTrip(func(request *http.Request) (answer *http.Response, err error) {
		failed := c.step(request.URL.Path, func() error {
			answer, err = r.server.RoundTrip(request)
			return err
		})
		return answer, failed
	})
	code, output := r.run("rotate-key")
	if c.isDead() == (code == 0) {
		t.Errorf("step %d: exit status %d: %s", step, code, output)
	}
	r.replace, r.wire = quickly, r.server
	where := fmt.Sprintf("step %d (%s)", step, c.at)
	if code, output := r.run(next...); code != 0 {
		t.Errorf("%s: exit status %d: %s", where, code, output)
	}
	same, now := r.settled(t)
	started := step > 0 || after // the next key was on disk
	if same != device || started && now == before {
		t.Errorf("%s: %s has the key %s, before it was %s with %s", where, same, now, device, before)
	}
	if code, output := r.run("run", "--once"); code != 0 || bytes.Contains([]byte(output), []byte("registering again")) {
		t.Errorf("%s: exit status %d: %s", where, code, output)
	}
	return c.isDead()
}

package control_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// TestSigned: everything that the device says is signed with the key that it registers with, from the first word on; and
// with another one as soon as that lies in its place.
func TestSigned(t *testing.T) {
	m := newMember(t)
	var signedBy []string
	m.wire.servers[home] = roundTrip(func(request *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		input, err := sign.ParseInput(request.Header)
		if err != nil {
			t.Error(request.URL.Path, err)
			return m.server.RoundTrip(request)
		}
		own := readKey(t, m.dir)
		text, err := sign.Received(request).Base(input)
		if err == nil {
			err = sign.Verify(&own.PublicKey, text, input.Signature)
		}
		if err != nil || sign.Digest(body) != request.Header.Get(sign.DigestHeader) {
			t.Errorf("%s: %v, digest %s", request.URL.Path, err, request.Header.Get(sign.DigestHeader))
		}
		signedBy = append(signedBy, request.URL.Path+" "+input.KeyID)
		request.Body = io.NopCloser(bytes.NewReader(body))
		return m.server.RoundTrip(request)
	})
	m.once(t, 0)
	first, err := sign.KeyID(&readKey(t, m.dir).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(signedBy) != 2 || signedBy[0] != "/register/ "+first || signedBy[1] != "/poll/ "+first {
		t.Errorf("%v, the key is %s", signedBy, first)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "device-key.pem"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := m.once(t, 1)
	if len(signedBy) != 2 || !bytes.Contains([]byte(run.Err.String()), []byte("it is not PEM")) {
		t.Errorf("%v; error is %s", signedBy, run.Err)
	}
}

// TestUnsigned: an identity that somebody else has set has no key here.
func TestUnsigned(t *testing.T) {
	m := newMember(t)
	id := "ca155b32-2472-4650-afb0-c6f967328afe"
	m.Set(network.ControlDeviceView, map[string]any{"id": id, "registered": 1719407517})
	m.server.know(id)
	m.once(t, 0)
	if len(m.server.memory.registers) != 1 || m.server.polls != 1 {
		t.Errorf("%d registrations, %d polls", len(m.server.memory.registers), m.server.polls)
	}
}

// TestKeyless: a device whose key, or whose whole state directory, was moved away is a new one for a server that wants signatures.
// Without a word from the server it stays who it is.
func TestKeyless(t *testing.T) {
	for _, moved := range []string{"device-key.pem", "*"} {
		t.Run(moved, func(t *testing.T) {
			m := newMember(t)
			m.wire.servers[home] = roundTrip(func(request *http.Request) (*http.Response, error) {
				if request.Header.Get("Signature") != "" || request.URL.Path != "/poll/" {
					return m.server.RoundTrip(request)
				}
				answer := httptest.NewRecorder()
				send(answer, http.StatusUnauthorized, serverapi.Problem{Status: http.StatusUnauthorized, Type: serverapi.ProblemUnsigned})
				return answer.Result(), nil
			})
			m.once(t, 0)
			before := m.JSON(network.ObserveDeviceView)
			files, err := filepath.Glob(filepath.Join(m.dir, moved))
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			wants := m.wire.servers[home]
			for _, silent := range []roundTrip{
				func(*http.Request) (*http.Response, error) { return nil, errors.New("no way") },
				func(*http.Request) (*http.Response, error) { // as a proxy does
					answer := httptest.NewRecorder()
					http.Error(answer, "who are you?", http.StatusUnauthorized)
					return answer.Result(), nil
				},
			} {
				m.wire.servers[home] = silent
				if m.once(t, 1); m.JSON(network.ObserveDeviceView) != before {
					t.Errorf("%s without a word from the server", m.JSON(network.ObserveDeviceView))
				}
				if _, err := os.Stat(filepath.Join(m.dir, "device-key.pem")); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the device has made a key: %v", err)
				}
			}
			m.wire.servers[home] = wants
			run := m.once(t, 0)
			if after := m.JSON(network.ObserveDeviceView); after == before || len(m.server.memory.registers) != 2 ||
				!strings.Contains(run.Err.String(), "has no key to sign with, registering as a new device") {
				t.Errorf("%s, %d registrations: %s", after, len(m.server.memory.registers), run.Err)
			}
			polls := m.server.polls
			if m.once(t, 0); len(m.server.memory.registers) != 2 || m.server.polls != polls+1 {
				t.Errorf("%d registrations, %d polls", len(m.server.memory.registers), m.server.polls-polls)
			}
		})
	}
}

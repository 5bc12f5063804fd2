package control_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/roles/network"
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

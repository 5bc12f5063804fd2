package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
)

// systemInfo is snapd's answer to GET /v2/system-info, as seen on snapd 2.77.1, without other members.
const systemInfo = `{"type":"sync","status-code":200,"status":"OK","result":{"series":"16","version":"2.77.1",` +
	`"features":{"confdb":{"supported":true,"enabled":%t}}}}`

// snapdSocket returns the path of a socket on which a server answers every request with a text.
func snapdSocket(t *testing.T, answer string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // the names of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a temporary directory
	socket := filepath.Join(dir, "snapd.socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, answer) // a client that has gone is none of the test's business
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return socket
}

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestAuto(t *testing.T) {
	state := t.TempDir()
	file := filepath.Join(state, "aspects-poc", "confdb.json")
	nothing := filepath.Join(state, "no.socket")
	on, off := snapdSocket(t, fmt.Sprintf(systemInfo, true)), snapdSocket(t, fmt.Sprintf(systemInfo, false))
	old := snapdSocket(t, `{"type":"sync","status-code":200,"status":"OK","result":{"version":"2.58.3","series":"16"}}`)
	page := snapdSocket(t, "<html>")
	const noCookie = "no SNAP_COOKIE in the environment: not inside a snap"
	userFile := "the user's own file, as nothing else is left: " + file
	for _, c := range []struct {
		name   string
		env    map[string]string
		socket string
		want   string
		// reasons are beginnings, by the order of candidates.
		reasons []string
	}{
		{"nothing there", nil, nothing, "file", []string{noCookie, nothing + " does not answer: connect: no such file or directory", userFile}},
		{"confdb on", nil, on, "snapd", []string{noCookie, "snapd 2.77.1 answers with confdb on", "snapd is taken"}},
		{"confdb off", nil, off, "file", []string{noCookie, `snapd 2.77.1 answers, but the experimental feature "confdb" ` +
			`is off; turn it on: snap set system experimental.confdb=true`, userFile}},
		{"too old", nil, old, "file", []string{noCookie, "snapd 2.58.3 answers, but snapd 2.58.3 is too old", userFile}},
		{"no snapd", nil, page, "file", []string{noCookie, page + " does not answer: ", userFile}},
		{"inside a snap", map[string]string{"SNAP_COOKIE": "c", "SNAP_INSTANCE_NAME": "vpn_two"}, on, "snapctl",
			[]string{`SNAP_COOKIE is in the environment: inside the snap "vpn_two"`, "snapctl is taken", "snapctl is taken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"XDG_STATE_HOME": state}
			for name, value := range c.env {
				env[name] = value
			}
			reg, err := registry.Open(t.Context(), "auto", registry.Options{
				Getenv: environment(env), Socket: c.socket, SnapSocket: nothing})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := reg.Close(); err != nil {
					t.Error(err)
				}
			}()
			choice := reg.Choice()
			if choice.Scheme != c.want || len(choice.Candidates) != len(c.reasons) {
				t.Fatalf("choice %+v, want %s", choice, c.want)
			}
			for i, candidate := range choice.Candidates {
				if candidate.Taken != (candidate.Scheme == c.want) || !strings.HasPrefix(candidate.Reason, c.reasons[i]) {
					t.Errorf("candidate %+v, want %q", candidate, c.reasons[i])
				}
			}
		})
	}
}

// On a machine without any state the first call succeeds, and only the user can read the file.
func TestAutoOnAFreshMachine(t *testing.T) {
	home := t.TempDir()
	options := registry.Options{Getenv: environment(map[string]string{"HOME": home}), Socket: filepath.Join(home, "none"),
		Schemas: registrytest.Schemas()}
	reg := open(t, "auto", options)
	if err := reg.View(testschema.ControlTelemetryView).Set(t.Context(), map[string]any{"sample-rate": 4}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".local", "state", "aspects-poc")
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "confdb.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, mode)
		}
	}
	again := open(t, "file:", options)
	got, err := again.View(testschema.ControlTelemetryView).Get(t.Context())
	if diff := cmp.Diff(map[string]any{"sample-rate": json.Number("4")}, got); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	if choice := again.Choice(); choice.Scheme != "" {
		t.Errorf("choice %+v of a registry that was opened by its address", choice)
	}
}

func open(t *testing.T, address string, options registry.Options) *registry.Registry {
	t.Helper()
	reg, err := registry.Open(t.Context(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	return reg
}

func TestAddressesRefused(t *testing.T) {
	dir := t.TempDir()
	const known = "; known are auto, snapctl:, snapd:, file:, mem:"
	for _, c := range []struct {
		address string
		kind    error
		want    string
	}{
		{"", registry.ErrBadRequest, `cannot open: unknown registry address ""` + known},
		{"etcd:localhost", registry.ErrBadRequest, `cannot open: unknown registry address "etcd:localhost"` + known},
		{"mem", registry.ErrBadRequest, `cannot open: unknown registry address "mem"` + known},
		{"mem:x", registry.ErrBadRequest, `cannot open: unknown registry address "mem:x"` + known},
		{"auto:x", registry.ErrBadRequest, `cannot open: unknown registry address "auto:x"` + known},
		{"snapctl:x", registry.ErrBadRequest, `cannot open: unknown registry address "snapctl:x"` + known},
		{"snapd:" + dir + "/none", registry.ErrUnreachable, dir + "/none"},
		{"snapctl:", registry.ErrUnauthorized, "not inside a snap"},
		{"file:" + dir, registry.ErrBadRequest, "cannot open: " + dir + " is a folder"},
		{"file:", registry.ErrBadRequest, "neither XDG_STATE_HOME nor HOME is set: name a file with file:PATH"},
	} {
		t.Run(c.address, func(t *testing.T) {
			reg, err := registry.Open(t.Context(), c.address, registry.Options{Getenv: environment(nil)})
			if reg != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %v with %q", err, c.kind, c.want)
			}
		})
	}
}

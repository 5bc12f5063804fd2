package rest_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
)

// A machine is a world with a server.
type machine struct {
	*world.World
	dir    string // has snapd.socket, snapd-snap.socket and features/
	client *http.Client
	snaps  *http.Client
}

func (m *machine) socket() string     { return filepath.Join(m.dir, "snapd.socket") }
func (m *machine) snapSocket() string { return filepath.Join(m.dir, "snapd-snap.socket") }

// A setup has the properties of a machine. The zero value has testschema, the feature on, and a snap "cust" that is
// connected custodian of all views.
type setup struct {
	state       string // directory; "" for none
	runner      changes.Runner
	hooks       []string // of the custodian
	off         bool     // the feature
	noCustodian bool
	options     rest.Options // World and Features are filled in
}

// serve serves a machine until the test ends.
func serve(t testing.TB, with setup) *machine {
	t.Helper()
	w, err := world.Open(with.state, changes.Options{Runner: with.runner})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	furnish(t, w, with)
	// Short, as the path of a socket has to be.
	dir, err := os.MkdirTemp("", "rest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &machine{World: w, dir: dir}
	options := with.options
	options.World, options.Features = w, filepath.Join(dir, "features")
	server, err := rest.New(options)
	if err != nil {
		t.Fatal(err)
	}
	var listeners []net.Listener
	for _, path := range []string{m.socket(), m.snapSocket()} {
		listener, err := rest.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, listener)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listeners[0], listeners[1]) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	m.client, m.snaps = testclient.New(m.socket()), testclient.New(m.snapSocket())
	return m
}

func furnish(t testing.TB, w *world.World, with setup) {
	t.Helper()
	schema, err := rest.ParseSchema(testschema.Document())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Facts.Acknowledge(schema); err != nil {
		t.Fatal(err)
	}
	if err := w.Facts.SetSystem(map[string]any{"experimental.confdb": !with.off}); err != nil {
		t.Fatal(err)
	}
	plugs := map[string]facts.Plug{"network": {Interface: "network"}}
	for _, view := range schema.Parsed.Views() {
		plugs[view] = facts.Plug{Interface: "confdb", Account: testschema.AccountID, View: testschema.Name + "/" + view, Role: facts.Custodian}
	}
	if err := w.Facts.Install(facts.Snap{Name: "cust", Version: "1", Plugs: plugs, Hooks: with.hooks}); err != nil {
		t.Fatal(err)
	}
	for plug := range plugs {
		if with.noCustodian {
			break
		}
		if err := w.Facts.Connect("cust", plug); err != nil {
			t.Fatal(err)
		}
	}
}

func viewID(view string) backend.ViewID {
	return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: view}
}

// put writes as the administrator does and waits.
func (m *machine) put(t testing.TB, view string, values map[string]any) {
	t.Helper()
	id, err := m.Changes.Set(t.Context(), viewID(view), values, changes.Access{})
	if err != nil {
		t.Fatal(err)
	}
	if change, err := m.Changes.Wait(t.Context(), id); err != nil || change.Status != changes.Done {
		t.Fatalf("change %+v, %v", change, err)
	}
}

// ready waits for the change of an answer and returns it as GET shows it.
func (m *machine) ready(t testing.TB, answer map[string]any) map[string]any {
	t.Helper()
	id, _ := answer["change"].(string)
	if _, err := m.Changes.Wait(t.Context(), id); err != nil {
		t.Fatalf("%v: %v", answer, err)
	}
	_, answer = testclient.Send(t, m.client, "GET /v2/changes/"+id, nil)
	return answer["result"].(map[string]any)
}

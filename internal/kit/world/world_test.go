package world_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/registrytest/testschema"
)

func view(name string) backend.ViewID {
	return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: name}
}

// machine opens a world in memory with our own confdb-schema and a custodian, cust, of all its views.
func machine(t *testing.T, options changes.Options) *world.World {
	t.Helper()
	return machineIn(t, "", options)
}

// machineIn is machine for one that is stored in a folder.
func machineIn(t *testing.T, dir string, options changes.Options) *world.World {
	t.Helper()
	w, err := world.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	document := testschema.Document()
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	must(t, w.Facts.Acknowledge(facts.Schema{Parsed: parsed, Document: document}))
	must(t, w.Facts.SetSystem(map[string]any{"experimental.confdb": true}))
	plug(t, w, facts.Snap{Name: "cust"}, facts.Custodian, parsed.Views()...)
	return w
}

// plug installs a snap with a connected plug for each view.
func plug(t *testing.T, w *world.World, snap facts.Snap, role string, views ...string) {
	t.Helper()
	snap.Plugs = map[string]facts.Plug{}
	for _, view := range views {
		snap.Plugs[view] = facts.Plug{Interface: "confdb", Account: testschema.AccountID, View: testschema.Name + "/" + view, Role: role}
	}
	must(t, w.Facts.Install(snap))
	for _, view := range views {
		must(t, w.Facts.Connect(snap.Instance(), view))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSetGet(t *testing.T) {
	w := machine(t, changes.Options{})
	id, err := w.Changes.Set(t.Context(), view("control-telemetry"), map[string]any{"sample-rate": json.Number("3")}, changes.Access{})
	must(t, err)
	change, err := w.Changes.Wait(t.Context(), id)
	must(t, err)
	if change.Kind != "set-confdb" || change.Status != changes.Done {
		t.Errorf("%+v", change)
	}
	id, err = w.Changes.Get(t.Context(), view("control-telemetry"), nil, changes.Access{})
	must(t, err)
	change, err = w.Changes.Change(id)
	must(t, err)
	want := map[string]any{"values": map[string]any{"sample-rate": json.Number("3")}}
	if diff := cmp.Diff(want, change.Data); diff != "" || !change.Ready {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

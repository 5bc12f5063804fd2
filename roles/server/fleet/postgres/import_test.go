package postgres_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"

	"github.com/google/go-cmp/cmp"
)

// filled returns an embedded store with something of everything.
func filled(t *testing.T) fleet.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	selector, err := fleet.ParseSelector("site=berlin")
	if err != nil {
		t.Fatal(err)
	}
	var last fleet.LayerName
	for n := range 5 {
		id := add(t, store)
		last = fleet.DeviceLayer(id)
		_, reportErr := store.Report(t.Context(), id, fleet.Report{Config: config(t, `{"s":"\u0000ü","n":9007199254740993}`),
			Sequence: int64(n), Running: fleet.Running{Revision: 1, Hash: "sha-256=x"}, At: by.At,
			Attempted: fleet.Attempted{Revision: 1, Outcome: fleet.Refused, Path: "a.b", Reason: "too \x00 much", At: 5},
			Verdict:   fleet.Verdict{State: fleet.StateRefused, Revision: 1}})
		_, labelsErr := store.SetLabels(t.Context(), id, nil, fleet.Labels{"site": "berlin"}, by)
		err := store.Observe(t.Context(), []fleet.Observation{{ID: id, Seen: by.At.Add(time.Hour),
			Stats: &fleet.Stats{At: by.At, Text: `{"peers":3}`}}})
		if err := errors.Join(reportErr, labelsErr, err); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []fleet.Change{
		{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{"a":1}`), Authorship: by}},
		{Layer: fleet.Layer{Name: "labels/x", Selector: selector, Priority: -3, Config: config(t, `{"a":2}`), Authorship: by}},
		{Layer: fleet.Layer{Name: "labels/y", Selector: selector, Config: config(t, `{"a":2}`), Authorship: by}},
		{Layer: fleet.Layer{Name: "labels/y", Authorship: by}, Remove: true},
		{Layer: fleet.Layer{Name: last, Config: config(t, `{"a":null}`), Authorship: by}},
	} {
		if _, err := storetest.Change(t.Context(), store, change); err != nil {
			t.Fatal(err)
		}
	}
	value, err := fleet.SecretValue([]byte(`{"a":["\u0000",1.0]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.ChangeSecret(t.Context(), fleet.SecretChange{Secret: fleet.Secret{Name: "vpn", Value: value, Authorship: by}}); err != nil {
		t.Fatal(err)
	}
	gone := add(t, store)
	err = errors.Join(store.SetKey(t.Context(), gone, "", "PEM", "key"), store.SetStatus(t.Context(), gone, fleet.Revoked, nil),
		store.Remove(t.Context(), gone, by))
	if keys, listErr := store.RevokedKeys(t.Context()); len(keys) != 1 || errors.Join(err, listErr) != nil {
		t.Fatal(keys, err, listErr)
	}
	return store
}

// contents is all that a store tells of itself, as text.
func contents(t *testing.T, store fleet.Store) map[string]any {
	t.Helper()
	all := map[string]any{}
	list, _, err := store.Devices(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	if all["revoked keys"], err = store.RevokedKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, brief := range list {
		device, err := store.Device(t.Context(), brief.ID)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := store.Stats(t.Context(), brief.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		all["device "+device.ID.String()] = []any{device, stats}
	}
	if all["samples"], err = store.Samples(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	layers, _, err := store.DeviceLayers(t.Context(), "", "", 100)
	targets, targetsErr := store.Targets(t.Context())
	history, historyErr := store.History(t.Context(), "", 0, 100)
	if err := errors.Join(err, targetsErr, historyErr); err != nil {
		t.Fatal(err)
	}
	all["layers"], all["targets"] = layers, targets
	for _, brief := range history {
		entry, err := store.Entry(t.Context(), brief.Revision)
		if err != nil {
			t.Fatal(err)
		}
		all["history "+time.Duration(brief.Revision).String()] = entry
	}
	return all
}

func TestImport(t *testing.T) {
	from := filled(t)
	store := open(t, postgrestest.URL(t), postgres.Options{})
	gone, cancel := context.WithCancel(t.Context())
	_, err := store.Import(gone, from, nil, func(done, all int64) { cancel() })
	if err == nil {
		t.Fatal("it went on")
	}
	if n, err := store.Count(t.Context()); n != 0 || err != nil {
		t.Fatalf("a broken import left %d devices, %v", n, err)
	}
	done, err := store.Import(t.Context(), from, nil, nil)
	want := postgres.Imported{Devices: 5, Reports: 5, Stats: 5, Layers: 3, Secrets: 1, History: 11}
	if err != nil || done != want {
		t.Errorf("%+v, %v; want %+v", done, err, want)
	}
	same := cmp.Options{cmp.Comparer(fleet.Config.Equal),
		cmp.Comparer(func(a, b fleet.Selector) bool { return a.String() == b.String() })}
	if diff := cmp.Diff(contents(t, from), contents(t, store), same); diff != "" {
		t.Error("content (-want +got):\n" + diff)
	}
	if _, err := store.Import(t.Context(), from, nil, nil); !errors.Is(err, postgres.ErrNotEmpty) {
		t.Error(err)
	}
	add(t, store) // numbers and revisions go on
	layer, err := storetest.Change(t.Context(), store, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{}`), Authorship: by}})
	if err != nil || layer.Revision != 12 {
		t.Error(layer, err)
	}
}

// TestImportKeepsFloor imports a store that was restored from a backup: revisions that devices may have seen before the
// restore do not come again.
func TestImportKeepsFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	embedded, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: config(t, `{"a":1}`), Authorship: by}}
	if _, err := storetest.Change(t.Context(), embedded, change); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlite.Backup(t.Context(), path, path+".copy"), embedded.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Restore(t.Context(), path+".copy", path); err != nil {
		t.Fatal(err)
	}
	if embedded, err = sqlite.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := embedded.Close(); err != nil {
			t.Error(err)
		}
	}()
	before, err := embedded.Targets(t.Context())
	if err != nil || before.Revision <= before.Everyone.Revision {
		t.Fatalf("no floor to keep: %+v, %v", before, err)
	}
	store := open(t, postgrestest.URL(t), postgres.Options{})
	if _, err := store.Import(t.Context(), embedded, embedded.Tokens(), nil); err != nil {
		t.Fatal(err)
	}
	change.Config = config(t, `{"a":2}`)
	if layer, err := storetest.Change(t.Context(), store, change); err != nil || layer.Revision != before.Revision+1 {
		t.Errorf("revision %d, %v; want %d", layer.Revision, err, before.Revision+1)
	}
}

// Package storetest has the contract of a fleet.Store. Its main function is Run, which the test of a store calls.
// Staged, Sealed and Old test releases, secrets and old databases.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// Open opens a store at a place, which is a folder or a name from which the store derives its place. A new place is
// empty. A second Open of the same place, after Close, is a restart of the server.
type Open func(t *testing.T, place string) fleet.Store

// Options say what a store supports.
type Options struct {
	// Shared means that several servers may open a place at once.
	Shared bool
}

var registered = time.Date(2024, 6, 26, 15, 5, 17, 0, time.UTC)

// Run tests a store.
func Run(t *testing.T, open Open, options Options) {
	for _, test := range []struct {
		name  string
		check func(*testing.T, fleet.Store)
	}{
		{"starts empty", startsEmpty},
		{"keeps devices", keepsDevices},
		{"adds a device once", addsOnce},
		{"knows a public key again", knowsKeys},
		{"finds devices by key", findsByKey},
		{"bounds those who wait for approval", boundsPending},
		{"lists devices", listsDevices},
		{"keeps reports", keepsReports},
		{"keeps the order of reports", ordersReports},
		{"keeps what was seen", keepsSeen},
		{"keeps statistics", keepsStats},
		{"keeps numbers of devices", keepsSamples},
		{"replaces labels", replacesLabels},
		{"gives names", givesNames},
		{"gives a name once", givesNameOnce},
		{"finds devices by ID", findsByID},
		{"reads devices together", readsTogether},
		{"replaces the status", replacesStatus},
		{"keeps to scopes", keepsToScopes},
		{"replaces a key", replacesKey},
		{"removes devices", removesDevices},
		{"keeps revoked keys", keepsRevokedKeys},
		{"corrects times", keepsTimes},
		{"counts standings", countsStandings},
		{"keeps layers", keepsLayers},
		{"keeps layers of devices", keepsDeviceLayers},
		{"changes what is expected only", changesExpected},
		{"changes all of a batch or none", changesAll},
		{"remembers selectors", remembersSelectors},
		{"keeps named secrets", keepsNamed},
		{"keeps what operators sign", keepsSignatures},
		{"keeps releases", keepsReleases},
		{"changes secrets amid a release", releasesSecrets},
		{"takes a census", takesCensus},
		{"keeps the history", keepsHistory},
		{"draws each revision once", drawsOnce},
		{"keeps the audit log", keepsAudit},
		{"records acts with their changes", recordsActs},
		{"trims the audit log", trimsAudit},
		{"shows records in their order", ordersAudit},
		{"tells of changes", tellsChanges},
		{"tells those who dawdle", tellsLate},
		{"knows no other device", unknownDevice},
		{"obeys its context", obeysContext},
		{"takes concurrent calls", concurrent},
		{"refuses calls when closed", refusesWhenClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := open(t, t.TempDir())
			defer closeStore(t, store)
			test.check(t, store)
		})
	}
	t.Run("keeps all through a restart", func(t *testing.T) { restart(t, open) })
	if options.Shared {
		t.Run("is shared", func(t *testing.T) { shared(t, open) })
	}
}

// Config parses a configuration.
func Config(t testing.TB, text string) fleet.Config {
	t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// Device returns a device that was never registered.
func Device(t testing.TB) fleet.Device {
	t.Helper()
	id, err := uuid.NewRandom()
	if err != nil {
		t.Fatal(err)
	}
	key := "-----BEGIN PUBLIC KEY-----\n" + id.String() + "\n"
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: key, Arch: "amd64"}
	return fleet.Device{ID: id, Registered: registered, LastSeen: registered, Identity: identity, KeyID: "key of " + id.String()}
}

// by returns an author, and a time after the registration.
func by(name string, seconds int) fleet.Authorship {
	return fleet.Authorship{By: name, At: registered.Add(time.Duration(seconds) * time.Second)}
}

// change returns a change of a layer.
func change(t *testing.T, name fleet.LayerName, selector, config string) fleet.Change {
	t.Helper()
	return fleet.Change{Layer: fleet.Layer{Name: name, Selector: parse(t, selector), Config: Config(t, config),
		Authorship: by("ann", 1)}}
}

func parse(t *testing.T, selector string) fleet.Selector {
	t.Helper()
	parsed, err := fleet.ParseSelector(selector)
	ok(t, err)
	return parsed
}

// Change makes one change, and returns the layer.
func Change(ctx context.Context, store interface {
	ChangeAll(ctx context.Context, batch fleet.Batch) ([]fleet.Layer, error)
}, change fleet.Change) (fleet.Layer, error) {
	layers, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{change}})
	if err != nil {
		return fleet.Layer{}, err
	}
	return layers[0], nil
}

// set makes a change and returns the layer.
func set(t *testing.T, store fleet.Store, change fleet.Change) fleet.Layer {
	t.Helper()
	layer, err := Change(t.Context(), store, change)
	ok(t, err)
	return layer
}

func closeStore(t *testing.T, store fleet.Store) {
	t.Helper()
	ok(t, store.Close())
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks the kind of an error.
func is(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

// same compares by text, because layers, devices and entries print in full.
func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(show(want), show(got)); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}

func show(value any) any {
	switch value := value.(type) {
	case fleet.Device:
		var own any
		if value.Own != nil {
			own = show(*value.Own)
		}
		shown := []any{value.ID, value.Registered, value.Identity, value.KeyID, value.Status.String(), value.Labels.String(),
			value.OwnRevision, own, value.Config.String(), value.Sequence, value.Instance, value.Running, value.Attempted, value.Report.At,
			value.Verdict, value.LastSeen, value.Twins, value.Alone}
		if value.Name != "" { // contents.txt of old databases has none
			shown = append(shown, value.Name)
		}
		return shown
	case fleet.Layer:
		return []any{value.Name, value.Selector.String(), value.Priority, value.Config.String(), value.Revision, value.By,
			value.At}
	case fleet.Secret:
		return []any{value.Name, value.Value.String(), value.Revision, value.By, value.At}
	case fleet.Entry:
		text := func(config *fleet.Config) string {
			if config == nil {
				return "none"
			}
			return config.String()
		}
		shown := []any{value.Revision, value.By, value.At, value.Layer, value.Action, value.Restores, value.Selector.String(),
			value.Priority, text(value.Before), text(value.After), value.Labels.String()}
		if value.Name != "" {
			shown = append(shown, value.Name)
		}
		if value.Step != "" {
			shown = append(shown, value.Step)
		}
		return shown
	case fleet.Release:
		shown := []any{value.ID, value.Version, value.By, value.At, value.Layers, value.Plan, value.Progress, value.Outcome}
		for _, before := range value.Before {
			shown = append(shown, show(before.Layer), before.Own)
		}
		return shown
	case []fleet.Device:
		return each(value)
	case []fleet.Layer:
		return each(value)
	case []fleet.Entry:
		return each(value)
	}
	return value
}

func each[T any](list []T) []any {
	shown := []any{}
	for _, value := range list {
		shown = append(shown, show(value))
	}
	return shown
}

// holds compares a device with the store's.
func holds(t *testing.T, store fleet.Store, want fleet.Device) {
	t.Helper()
	got, err := store.Device(t.Context(), want.ID)
	ok(t, err)
	same(t, want, got)
}

// add adds a new device.
func add(t *testing.T, store fleet.Store, device fleet.Device) {
	t.Helper()
	kept, err := store.Add(t.Context(), device, 0)
	ok(t, err)
	same(t, device, kept)
}

// report stores a report, and sets the device to what the store should have.
func report(t *testing.T, store fleet.Store, device *fleet.Device, report fleet.Report) {
	t.Helper()
	sequence, err := store.Report(t.Context(), device.ID, report)
	ok(t, err)
	if report.Sequence == 0 {
		report.Sequence = device.Sequence
	}
	if sequence != report.Sequence {
		t.Errorf("sequence %d is kept, want %d", sequence, report.Sequence)
	}
	device.Report = report
}

func counts(t *testing.T, store fleet.Store, want int) {
	t.Helper()
	got, err := store.Count(t.Context())
	ok(t, err)
	if got != want {
		t.Errorf("%d devices, want %d", got, want)
	}
}

// revision returns the last revision.
func revision(t *testing.T, store fleet.Store) int64 {
	t.Helper()
	targets, err := store.Targets(t.Context())
	ok(t, err)
	return targets.Revision
}

func concerns(t *testing.T, store fleet.Store) map[string]int64 {
	t.Helper()
	targets, err := store.Targets(t.Context())
	ok(t, err)
	known := map[string]int64{}
	for _, concern := range targets.Concerns {
		known[concern.Selector.String()] = concern.Revision
	}
	return known
}

func startsEmpty(t *testing.T, store fleet.Store) {
	counts(t, store, 0)
	targets, err := store.Targets(t.Context())
	ok(t, err)
	if targets.Revision != 0 || targets.Everyone.Revision != 0 || targets.Labels != nil || targets.Concerns != nil {
		t.Errorf("%+v", targets)
	}
	list, next, err := store.Devices(t.Context(), "", 10)
	if len(list) != 0 || next != "" || err != nil {
		t.Error(list, next, err)
	}
	entries, err := store.History(t.Context(), "", 0, 10)
	if len(entries) != 0 || err != nil {
		t.Error(entries, err)
	}
	_, err = store.Layer(t.Context(), fleet.Everyone)
	is(t, err, fleet.ErrUnknownLayer)
	ok(t, store.Check(t.Context()))
}

func everyRestart(t *testing.T, open Open, place string, check func(fleet.Store)) {
	t.Helper()
	for range 2 {
		store := open(t, place)
		check(store)
		ok(t, store.Close())
	}
}

func restart(t *testing.T, open Open) {
	place := t.TempDir()
	store := open(t, place)
	first, second := Device(t), Device(t)
	first.Labels = fleet.Labels{"site": "berlin"}
	second.Status = fleet.Pending
	add(t, store, first)
	add(t, store, second)
	report(t, store, &second, fleet.Report{Config: Config(t, `{"b":[1,2.0]}`), Sequence: 7, At: registered})
	everyone := set(t, store, change(t, fleet.Everyone, "", `{"t":null}`))
	label := set(t, store, change(t, "labels/berlin", "site=berlin", `{"t":1}`))
	secret := secretChange(t, "wifi", `"x"`)
	secret.Revision = 6
	own := set(t, store, change(t, fleet.DeviceLayer(first.ID), "", `{"t":2}`))
	removal := change(t, "labels/berlin", "", `{}`)
	removal.Remove = true
	set(t, store, removal)
	first.Own, first.OwnRevision = &own, own.Revision
	first.Name = "lobby"
	_, err := store.SetName(t.Context(), first.ID, first.Name, by("ann", 1))
	ok(t, err)
	_, err = store.ChangeSecret(t.Context(), secret)
	ok(t, err)
	ok(t, store.Close())
	everyRestart(t, open, place, func(store fleet.Store) {
		holds(t, store, first)
		holds(t, store, second)
		counts(t, store, 2)
		targets, err := store.Targets(t.Context())
		ok(t, err)
		same(t, everyone, targets.Everyone)
		if targets.Labels != nil || targets.Revision != 6 || len(targets.Secrets) != 1 {
			t.Fatalf("%+v", targets)
		}
		same(t, secret.Secret, targets.Secrets[0])
		if diff := cmp.Diff(map[string]int64{"": 1, "site=berlin": 4}, concerns(t, store)); diff != "" {
			t.Error(diff)
		}
		entry, err := store.LayerAt(t.Context(), "labels/berlin", 3)
		ok(t, err)
		if entry.Revision != label.Revision || entry.After.String() != `{"t":1}` {
			t.Errorf("%+v", entry)
		}
		again := Device(t)
		again.PublicKeyRSA = second.PublicKeyRSA
		kept, err := store.Add(t.Context(), again, 0)
		ok(t, err)
		same(t, second, kept)
	})
}

// shared opens a place with two servers.
func shared(t *testing.T, open Open) {
	place := t.TempDir()
	one, other := open(t, place), open(t, place)
	defer closeStore(t, one)
	defer closeStore(t, other)
	told, err := other.Changes(t.Context())
	ok(t, err)
	device := Device(t)
	add(t, one, device)
	holds(t, other, device)
	expect(t, told, func(n fleet.Notice) bool {
		return n.Kind == fleet.DevicesChanged && !n.Own && n.Devices[0] == device.ID
	})
	layer := set(t, one, change(t, fleet.Everyone, "", `{"a":1}`))
	expect(t, told, func(n fleet.Notice) bool {
		return n.Kind == fleet.TargetChanged && !n.Own && n.Revision == layer.Revision && n.Layer == fleet.Everyone
	})
	secret, err := one.ChangeSecret(t.Context(), secretChange(t, "wifi", `"x"`))
	ok(t, err)
	expect(t, told, func(n fleet.Notice) bool {
		return n.Kind == fleet.TargetChanged && !n.Own && n.Revision == secret.Revision && n.Layer == "secrets/wifi"
	})
	_, err = one.SetName(t.Context(), device.ID, "lobby", by("ann", 1))
	ok(t, err)
	device.Name = "lobby"
	second := Device(t)
	add(t, other, second)
	_, err = other.SetName(t.Context(), second.ID, "lobby", by("ann", 1))
	is(t, err, fleet.ErrNameTaken)
	oneNameFor(t, "hall", []fleet.Store{one, other}, []fleet.Device{device, second})
	_, err = one.SetName(t.Context(), device.ID, "lobby", by("ann", 1))
	ok(t, err)
	report(t, one, &device, fleet.Report{Config: Config(t, `{"a":1}`), Sequence: 3, At: registered})
	expect(t, told, func(n fleet.Notice) bool {
		return n.Kind == fleet.DevicesReported && !n.Own && n.Devices[0] == device.ID
	})
	holds(t, other, device)
	stale := change(t, fleet.Everyone, "", `{"a":2}`)
	stale.Match = new(int64(0))
	_, err = Change(t.Context(), other, stale)
	is(t, err, fleet.ErrStale)
	next := set(t, other, change(t, fleet.Everyone, "", `{"a":3}`))
	if next.Revision <= layer.Revision+2 {
		t.Errorf("revision %d after %d", next.Revision, layer.Revision)
	}
}

// expect waits for a notice and skips others. Lost is as good as the notice.
func expect(t *testing.T, told <-chan fleet.Notice, wanted func(fleet.Notice) bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case notice, open := <-told:
			if !open {
				t.Fatal("the notices have ended")
			}
			if notice.Kind == fleet.Lost || wanted(notice) {
				return
			}
		case <-late:
			t.Fatal("not told")
		}
	}
}

func name(prefix string, n int) string { return fmt.Sprintf("%s%d", prefix, n) }

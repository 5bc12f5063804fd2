package sqlite_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestSealedRelease releases a layer with a secret: what was before is sealed too, also with the next key, and comes back.
func TestSealedRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	options := func(ring *seal.Ring) fleet.Options {
		return fleet.Options{Schema: network.Document(""), Keys: func(bool) (*seal.Ring, error) { return ring, nil }}
	}
	with := func(ring *seal.Ring, do func(rules *fleet.Fleet)) {
		store, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := fleet.Open(t.Context(), store, options(ring))
		if err != nil {
			t.Fatal(err)
		}
		do(rules)
		if err := rules.Close(); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(files(t, path), []byte(storetest.Canary)) {
			t.Fatal("a secret is plain")
		}
	}
	batch := func(key string) fleet.Batch {
		return fleet.Batch{Changes: []fleet.Change{{Layer: fleet.Layer{Name: fleet.Everyone,
			Config: storetest.Config(t, `{"control-tunnel":{"interface":"wg0","secret-key":"`+storetest.Canary+key+`"}}`)}}}}
	}
	var device fleet.Device
	var begun *fleet.Release
	offered := func(rules *fleet.Fleet, want string) {
		t.Helper()
		answer, err := rules.Poll(t.Context(), device.ID, fleet.Poll{Report: true, Sequence: 1})
		if err != nil || answer.Offer == nil || !strings.Contains(answer.Offer.Config.String(), storetest.Canary+want) {
			t.Fatalf("%+v, %v; want the key %s", answer.Offer, err, want)
		}
	}
	ring := seal.Random()
	with(ring, func(rules *fleet.Fleet) {
		var err error
		if device, err = rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "key", Arch: "amd64"}, nil, fleet.Active); err != nil {
			t.Fatal(err)
		}
		if _, err = rules.SetAll(t.Context(), batch("before")); err != nil {
			t.Fatal(err)
		}
		plan, err := rules.ReadPlan([]byte(`{"stages":[{"percent":100}],"approve":[1]}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, begun, err = rules.StartRelease(t.Context(), batch("after"), plan, "ann"); err != nil || begun == nil {
			t.Fatal(begun, err)
		}
		offered(rules, "before")
	})
	both := ring.Rotated()
	lines := bytes.SplitAfter(bytes.TrimSpace(both.Text()), []byte("\n"))
	next, err := seal.Parse(bytes.Join(lines[:len(lines)-1], nil))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Seal(t.Context(), store, options(both), nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	with(next, func(rules *fleet.Fleet) {
		offered(rules, "before")
		if _, err := rules.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysGo, By: "bo"}); err != nil {
			t.Fatal(err)
		}
		offered(rules, "after")
		if _, err := rules.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysUndo, By: "bo"}); err != nil {
			t.Fatal(err)
		}
		offered(rules, "before")
	})
}

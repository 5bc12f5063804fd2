package fleet_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// counting counts what is written.
type counting struct {
	fleet.Store
	added, targets int
}

func (c *counting) Add(ctx context.Context, device fleet.Device) (fleet.Device, error) {
	c.added++
	return c.Store.Add(ctx, device)
}

func (c *counting) SetTarget(ctx context.Context, config fleet.Config, at time.Time) error {
	c.targets++
	return c.Store.SetTarget(ctx, config, at)
}

func newFleet(t *testing.T) (*fleet.Fleet, *counting, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	count := &counting{Store: store}
	now := func() time.Time { return time.Unix(1719407517, 999) }
	return fleet.New(count, fleet.Options{Now: now}), count, path
}

func parse(t *testing.T, text string) fleet.Config {
	t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestRegister(t *testing.T) {
	rules, _, _ := newFleet(t)
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"}
	device, err := rules.Register(t.Context(), identity)
	if err != nil {
		t.Fatal(err)
	}
	if device.ID.Version() != 4 || device.Registered.Unix() != 1719407517 || device.Identity != identity {
		t.Errorf("%+v", device)
	}
	kept, err := rules.Device(t.Context(), device.ID)
	if err != nil || kept.Identity != identity || !kept.Registered.Equal(device.Registered) || kept.Config.String() != "{}" {
		t.Errorf("%+v %v", kept, err)
	}
	again, err := rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: "PEM", Arch: "arm64"})
	if err != nil || again.ID != device.ID || again.Identity != identity {
		t.Errorf("the same key: %+v %v", again, err)
	}
	identity.PublicKeyRSA = "PEM of another"
	other, err := rules.Register(t.Context(), identity)
	if err != nil || other.ID == device.ID {
		t.Errorf("another key: %+v %v", other, err)
	}
}

func TestPoll(t *testing.T) {
	rules, _, _ := newFleet(t)
	device, err := rules.Register(t.Context(), fleet.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	poll := func(config string, want string, wantInStep bool) {
		t.Helper()
		target, inStep, err := rules.Poll(t.Context(), device.ID, parse(t, config))
		if err != nil || target.String() != want || inStep != wantInStep {
			t.Errorf("polled %s: %s, %v, %v; want %s, %v", config, target, inStep, err, want, wantInStep)
		}
	}
	set := func(config string) {
		t.Helper()
		if err := rules.SetTarget(t.Context(), parse(t, config)); err != nil {
			t.Fatal(err)
		}
	}
	poll(`{}`, `{}`, true)
	set(`{"t":{"rate":4,"gone":null}}`)
	poll(`{"t":{"rate":2,"gone":1}}`, `{"t":{"gone":null,"rate":4}}`, false)
	poll(`{"t":{"rate":4.0}}`, `{"t":{"gone":null,"rate":4}}`, true)
	set(`{"t":{"rate":5}}`)
	poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`, false)
	set(`{}`)
	poll(`{"t":{"rate":4.0}}`, `{}`, true)
	for range 2 { // what was decided before holds for the target of then
		set(`{"t":{"rate":4}}`)
		poll(`{"t":{"rate":5}}`, `{"t":{"rate":4}}`, false)
		poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":4}}`, true)
		poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":4}}`, true)
		set(`{"t":{"rate":5}}`)
		poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`, false)
		poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`, false)
	}
	poll(`{"t":{"rate":4.0}}`, `{"t":{"rate":5}}`, false)
	if kept, err := rules.Device(t.Context(), device.ID); err != nil || kept.Config.String() != `{"t":{"rate":4.0}}` {
		t.Error(kept.Config, err)
	}
	if _, _, err := rules.Poll(t.Context(), uuid.New(), parse(t, `{}`)); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}

// TestUnchangedWritesNothing looks at the calls of the store, and at the bytes on disk.
func TestUnchangedWritesNothing(t *testing.T) {
	rules, count, path := newFleet(t)
	device, err := rules.Register(t.Context(), fleet.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := rules.Poll(t.Context(), device.ID, parse(t, `{"b":{"y":1,"x":2},"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := rules.SetTarget(t.Context(), parse(t, `{"a":2}`)); err != nil {
		t.Fatal(err)
	}
	bytesOf := func() (all []string) {
		for _, name := range []string{path, path + "-wal"} {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(content))
		}
		return all
	}
	before := bytesOf()
	for _, text := range []string{`{"b":{"y":1,"x":2},"a":1}`, ` { "a" : 1, "b" : {"x":2,"\u0079":1} } `} {
		if _, _, err := rules.Poll(t.Context(), device.ID, parse(t, text)); err != nil {
			t.Fatal(err)
		}
		if err := rules.SetTarget(t.Context(), parse(t, ` {"a":2}`)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{1, 1}, []int{count.added, count.targets}); diff != "" {
		t.Error("registrations, targets written: " + diff)
	}
	if diff := cmp.Diff(before, bytesOf()); diff != "" {
		t.Error("the disk has changed")
	}
}

// Package storetest states what every fleet.Store has to do.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// Open opens a store over what a place of its own (a directory, or a name to derive one from) holds, which is nothing
// at first. To open the same place again after closing stands for a restart of the server.
type Open func(t *testing.T, place string) fleet.Store

var registered = time.Date(2024, 6, 26, 15, 5, 17, 0, time.UTC)

// Run checks a store.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name  string
		check func(*testing.T, fleet.Store)
	}{
		{"starts empty", startsEmpty},
		{"keeps devices", keepsDevices},
		{"adds a device once", addsOnce},
		{"knows a public key again", knowsKeys},
		{"replaces reports", replacesReports},
		{"replaces the target", replacesTarget},
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

// Device makes a device that was never registered before.
func Device(t testing.TB, config string) fleet.Device {
	t.Helper()
	id, err := uuid.NewRandom()
	if err != nil {
		t.Fatal(err)
	}
	key := "-----BEGIN PUBLIC KEY-----\n" + id.String() + "\n"
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: key, Arch: "amd64"}
	return fleet.Device{ID: id, Registered: registered, Identity: identity, Config: Config(t, config)}
}

func closeStore(t *testing.T, store fleet.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// holds compares a device by what callers see of it.
func holds(t *testing.T, store fleet.Store, want fleet.Device) {
	t.Helper()
	got, err := store.Device(t.Context(), want.ID)
	ok(t, err)
	same(t, want, got)
}

func same(t *testing.T, want, got fleet.Device) {
	t.Helper()
	show := func(d fleet.Device) []any { return []any{d.ID, d.Registered, d.Identity, d.Config.String()} }
	if diff := cmp.Diff(show(want), show(got)); diff != "" {
		t.Error("device (-want +got):\n" + diff)
	}
}

// add keeps a device that is new.
func add(t *testing.T, store fleet.Store, device fleet.Device) {
	t.Helper()
	kept, err := store.Add(t.Context(), device)
	ok(t, err)
	same(t, device, kept)
}

func targets(t *testing.T, store fleet.Store, want string) {
	t.Helper()
	got, err := store.Target(t.Context())
	ok(t, err)
	if got.String() != want {
		t.Errorf("target %s, want %s", got, want)
	}
}

func counts(t *testing.T, store fleet.Store, want int) {
	t.Helper()
	got, err := store.Count(t.Context())
	ok(t, err)
	if got != want {
		t.Errorf("%d devices, want %d", got, want)
	}
}

func startsEmpty(t *testing.T, store fleet.Store) {
	targets(t, store, "{}")
	counts(t, store, 0)
}

func keepsDevices(t *testing.T, store fleet.Store) {
	plain := Device(t, `{}`)
	odd := Device(t, `{"n":9007199254740993,"f":1.10,"e":1e400,"s":"\u0000 'ü' \\","deep":{"a":[null,{"b":[]}]}}`)
	odd.IPAddress = "fe80::1%eth0"
	odd.PublicKeyRSA = "'; DROP TABLE devices; --\x00" + strings.Repeat("ü", 5000)
	odd.Arch = ""
	for _, device := range []fleet.Device{plain, odd} {
		add(t, store, device)
	}
	holds(t, store, plain)
	holds(t, store, odd)
	counts(t, store, 2)
}

func addsOnce(t *testing.T, store fleet.Store) {
	first := Device(t, `{"a":1}`)
	add(t, store, first)
	second := Device(t, `{"a":2}`)
	second.ID = first.ID
	if kept, err := store.Add(t.Context(), second); !errors.Is(err, fleet.ErrExists) {
		t.Errorf("got %v, %v", kept, err)
	}
	holds(t, store, first)
	counts(t, store, 1)
}

// knowsKeys has a device register again with the key that it has, as one does that never got its answer.
func knowsKeys(t *testing.T, store fleet.Store) {
	first, other := Device(t, `{"a":1}`), Device(t, `{}`)
	add(t, store, first)
	add(t, store, other)
	again := Device(t, `{}`)
	again.Identity = fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: first.PublicKeyRSA, Arch: "arm64"}
	kept, err := store.Add(t.Context(), again)
	ok(t, err)
	same(t, first, kept)
	holds(t, store, first)
	if _, err := store.Device(t.Context(), again.ID); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Errorf("got %v", err)
	}
	counts(t, store, 2)

	const crowd = 8 // of calls at the same time
	rival := Device(t, `{}`)
	var wait sync.WaitGroup
	ids := make([]uuid.UUID, crowd)
	for i := range crowd {
		device := Device(t, `{}`)
		device.Identity = rival.Identity
		wait.Go(func() {
			kept, err := store.Add(t.Context(), device)
			if err != nil {
				t.Error(err)
			}
			ids[i] = kept.ID
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one key, several devices: %v", ids)
		}
	}
	counts(t, store, 3)

	for range 2 { // no key is no key of anybody
		keyless := Device(t, `{}`)
		keyless.PublicKeyRSA = ""
		add(t, store, keyless)
	}
	counts(t, store, 5)
}

func replacesReports(t *testing.T, store fleet.Store) {
	device, other := Device(t, `{}`), Device(t, `{"other":true}`)
	add(t, store, device)
	add(t, store, other)
	for _, text := range []string{`{"a":{"b":1}}`, `{"a":{"c":2}}`, `{}`, `{"a":{"c":2}}`, `{"a":{"c":2}}`,
		`{"big":"` + strings.Repeat("x", 1<<20) + `"}`} {
		device.Config = Config(t, text)
		ok(t, store.Report(t.Context(), device.ID, device.Config, registered.Add(time.Hour)))
		holds(t, store, device)
	}
	holds(t, store, other)
}

func replacesTarget(t *testing.T, store fleet.Store) {
	for _, text := range []string{`{"a":{"n":9007199254740993}}`, `{"b":null}`, `{}`} {
		ok(t, store.SetTarget(t.Context(), Config(t, text), registered))
		targets(t, store, text)
	}
	counts(t, store, 0)
}

func unknownDevice(t *testing.T, store fleet.Store) {
	add(t, store, Device(t, `{}`))
	stranger := Device(t, `{}`)
	_, deviceErr := store.Device(t.Context(), stranger.ID)
	reportErr := store.Report(t.Context(), stranger.ID, stranger.Config, registered)
	for _, err := range []error{deviceErr, reportErr} {
		if !errors.Is(err, fleet.ErrUnknownDevice) {
			t.Errorf("got %v", err)
		}
	}
	counts(t, store, 1)
}

func obeysContext(t *testing.T, store fleet.Store) {
	device := Device(t, `{}`)
	add(t, store, device)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range every(gone, t, store, device) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	holds(t, store, device) // and still works
}

// every calls each method but Close.
func every(ctx context.Context, t *testing.T, store fleet.Store, known fleet.Device) map[string]error {
	_, deviceErr := store.Device(ctx, known.ID)
	_, targetErr := store.Target(ctx)
	_, countErr := store.Count(ctx)
	_, addErr := store.Add(ctx, Device(t, `{}`))
	return map[string]error{
		"Device": deviceErr, "Target": targetErr, "Count": countErr, "Add": addErr,
		"Repeat":    store.Report(ctx, known.ID, known.Config, registered),
		"Report":    store.Report(ctx, known.ID, Config(t, `{"x":1}`), registered),
		"SetTarget": store.SetTarget(ctx, Config(t, `{"x":1}`), registered),
	}
}

func concurrent(t *testing.T, store fleet.Store) {
	const workers, rounds = 8, 25
	var wait sync.WaitGroup
	last := make([]fleet.Device, workers)
	for worker := range workers {
		last[worker] = Device(t, `{}`)
		wait.Go(func() {
			device := &last[worker]
			if _, err := store.Add(t.Context(), *device); err != nil {
				t.Error(err)
				return
			}
			for round := range rounds {
				device.Config = Config(t, fmt.Sprintf(`{"w%d":%d}`, worker, round))
				err := errors.Join(store.Report(t.Context(), device.ID, device.Config, registered),
					store.SetTarget(t.Context(), device.Config, registered))
				got, readErr := store.Device(t.Context(), device.ID)
				if err != nil || readErr != nil || !got.Config.Equal(device.Config) {
					t.Errorf("worker %d, round %d: wrote %s, read %s: %v", worker, round, device.Config, got.Config,
						errors.Join(err, readErr))
					return
				}
			}
		})
	}
	wait.Wait()
	for _, device := range last {
		holds(t, store, device)
	}
	counts(t, store, workers)
}

func refusesWhenClosed(t *testing.T, store fleet.Store) {
	device := Device(t, `{}`)
	add(t, store, device)
	ok(t, store.Report(t.Context(), device.ID, device.Config, registered))
	ok(t, store.Close())
	for name, err := range every(t.Context(), t, store, device) {
		if !errors.Is(err, fleet.ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ok(t, store.Close()) // again does no harm
}

func restart(t *testing.T, open Open) {
	place := t.TempDir()
	store := open(t, place)
	first, second := Device(t, `{"a":1}`), Device(t, `{}`)
	add(t, store, first)
	add(t, store, second)
	ok(t, store.SetTarget(t.Context(), Config(t, `{"t":null}`), registered))
	second.Config = Config(t, `{"b":[1,2.0]}`)
	ok(t, store.Report(t.Context(), second.ID, second.Config, registered))
	ok(t, store.Close())
	for range 2 {
		store = open(t, place)
		holds(t, store, first)
		holds(t, store, second)
		targets(t, store, `{"t":null}`)
		again := Device(t, `{}`)
		again.PublicKeyRSA = second.PublicKeyRSA
		kept, err := store.Add(t.Context(), again)
		ok(t, err)
		same(t, second, kept)
		ok(t, store.Report(t.Context(), first.ID, first.Config, registered))
		counts(t, store, 2)
		ok(t, store.Close())
	}
}

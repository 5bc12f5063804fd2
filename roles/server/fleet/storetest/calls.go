package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

func tellsChanges(t *testing.T, store fleet.Store) {
	ctx, stop := context.WithCancel(t.Context())
	told, err := store.Changes(ctx)
	ok(t, err)
	other, err := store.Changes(t.Context())
	ok(t, err)
	device := Device(t)
	add(t, store, device)
	about := func(kind fleet.NoticeKind) func(fleet.Notice) bool {
		return func(n fleet.Notice) bool {
			return n.Kind == kind && n.Own && len(n.Devices) == 1 && n.Devices[0] == device.ID
		}
	}
	expect(t, told, about(fleet.DevicesChanged))
	expect(t, other, about(fleet.DevicesChanged))
	report(t, store, &device, fleet.Report{Config: Config(t, `{"a":1}`), At: registered})
	expect(t, told, about(fleet.DevicesReported))
	layer := set(t, store, change(t, "labels/a", "a", `{"a":1}`))
	expect(t, told, func(n fleet.Notice) bool {
		return n.Kind == fleet.TargetChanged && n.Own && n.Layer == "labels/a" && n.Revision == layer.Revision
	})
	set(t, store, change(t, fleet.DeviceLayer(device.ID), "", `{"a":1}`))
	expect(t, told, about(fleet.DevicesChanged))
	_, err = store.SetLabels(t.Context(), device.ID, nil, fleet.Labels{"a": "b"}, by("ann", 1))
	ok(t, err)
	expect(t, told, about(fleet.DevicesChanged))
	_, err = store.SetName(t.Context(), device.ID, "lobby", by("ann", 1))
	ok(t, err)
	expect(t, told, about(fleet.DevicesChanged))
	ok(t, store.SetStatus(t.Context(), device.ID, fleet.Revoked, nil))
	expect(t, told, about(fleet.DevicesChanged))
	ok(t, store.SetAlone(t.Context(), device.ID, registered, nil))
	expect(t, told, about(fleet.DevicesChanged))
	ok(t, store.SetKey(t.Context(), device.ID, device.KeyID, "PEM", "another"))
	expect(t, told, about(fleet.DevicesChanged))
	ok(t, store.Remove(t.Context(), device.ID, by("ann", 1)))
	expect(t, told, about(fleet.DevicesChanged))
	stop()
	for range told { // until it is closed
	}
	ok(t, store.Close())
	for range other {
	}
}

// tellsLate has a receiver that does not read for long. It gets a notice that it has missed some, and delays nobody.
func tellsLate(t *testing.T, store fleet.Store) {
	told, err := store.Changes(t.Context())
	ok(t, err)
	device := Device(t)
	add(t, store, device)
	const many = 2000
	for i := range many {
		ok(t, store.SetStatus(t.Context(), device.ID, fleet.Status(i%2), nil))
	}
	last := set(t, store, change(t, fleet.Everyone, "", `{"a":1}`))
	expect(t, told, func(n fleet.Notice) bool { return n.Kind == fleet.TargetChanged && n.Revision == last.Revision })
}

func unknownDevice(t *testing.T, store fleet.Store) {
	add(t, store, Device(t))
	stranger := uuid.New()
	ctx := t.Context()
	_, deviceErr := store.Device(ctx, stranger)
	_, reportErr := store.Report(ctx, stranger, fleet.Report{At: registered})
	_, labelsErr := store.SetLabels(ctx, stranger, nil, fleet.Labels{"a": ""}, by("ann", 1))
	_, statsErr := store.Stats(ctx, stranger, registered)
	_, nameErr := store.SetName(ctx, stranger, "x", by("ann", 1))
	_, namedErr := store.Named(ctx, "x")
	for _, err := range []error{deviceErr, reportErr, labelsErr, statsErr, nameErr, namedErr,
		store.SetStatus(ctx, stranger, fleet.Revoked, nil), store.SetKey(ctx, stranger, "", "PEM", "key"),
		store.SetAlone(ctx, stranger, registered, nil), store.Remove(ctx, stranger, by("ann", 1))} {
		is(t, err, fleet.ErrUnknownDevice)
	}
	counts(t, store, 1)
}

func obeysContext(t *testing.T, store fleet.Store) {
	device := Device(t)
	add(t, store, device)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range every(gone, t, store, device) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	holds(t, store, device) // the store still works
}

// every calls each method except Changes and Close.
func every(ctx context.Context, t *testing.T, store fleet.Store, known fleet.Device) map[string]error {
	errs := map[string]error{
		"Observe":   store.Observe(ctx, []fleet.Observation{{ID: known.ID, Seen: registered}}),
		"SetStatus": store.SetStatus(ctx, known.ID, fleet.Revoked, nil),
		"SetKey":    store.SetKey(ctx, known.ID, known.KeyID, "PEM", "key"),
		"SetAlone":  store.SetAlone(ctx, known.ID, registered, nil),
		"Remove":    store.Remove(ctx, known.ID, by("ann", 1)),
		"AllowKey":  store.AllowKey(ctx, "key"),
		"Sample":    store.Sample(ctx, fleet.StoredSample{At: registered, Text: "{}"}, nil),
		"Check":     store.Check(ctx),
	}
	_, errs["Add"] = store.Add(ctx, Device(t), 0)
	_, errs["Device"] = store.Device(ctx, known.ID)
	_, errs["DevicesByID"] = store.DevicesByID(ctx, []uuid.UUID{known.ID})
	_, errs["DeviceByKey"] = store.DeviceByKey(ctx, known.KeyID)
	_, errs["RevokedKeys"] = store.RevokedKeys(ctx)
	_, _, errs["Devices"] = store.Devices(ctx, "", 1)
	_, _, errs["Configs"] = store.Configs(ctx, "", 1)
	_, _, errs["Mute"] = store.Mute(ctx, "", 1)
	_, errs["LastChange"] = store.LastChange(ctx)
	_, errs["Report"] = store.Report(ctx, known.ID, fleet.Report{Config: Config(t, `{"x":1}`), At: registered})
	_, errs["SetLabels"] = store.SetLabels(ctx, known.ID, known.Labels, fleet.Labels{"x": ""}, by("ann", 1))
	_, errs["SetName"] = store.SetName(ctx, known.ID, "x", by("ann", 1))
	_, errs["Named"] = store.Named(ctx, "x")
	_, errs["IDs"] = store.IDs(ctx, known.ID, known.ID, 1)
	_, errs["Count"] = store.Count(ctx)
	_, errs["Standings"] = store.Standings(ctx, registered, time.Minute)
	_, errs["Stats"] = store.Stats(ctx, known.ID, registered)
	_, errs["Samples"] = store.Samples(ctx, registered)
	_, errs["Targets"] = store.Targets(ctx)
	_, errs["Layer"] = store.Layer(ctx, fleet.Everyone)
	_, _, errs["DeviceLayers"] = store.DeviceLayers(ctx, "", "", 1)
	_, errs["ChangeAll"] = Change(ctx, store, change(t, fleet.Everyone, "", `{"x":1}`))
	_, errs["ChangeSecret"] = store.ChangeSecret(ctx, secretChange(t, "x", `1`))
	_, errs["Releases"] = store.Releases(ctx, 0, 1)
	_, errs["Release"] = store.Release(ctx, 1)
	_, errs["MoveRelease"] = store.MoveRelease(ctx, moved(fleet.Release{ID: 1, Plan: plan(t)}, release.Halted))
	_, errs["Census"] = store.Census(ctx)
	_, errs["History"] = store.History(ctx, "", 0, 1)
	_, errs["Entries"] = store.Entries(ctx, "", 0, 1)
	_, errs["Entry"] = store.Entry(ctx, 1)
	_, errs["LayerAt"] = store.LayerAt(ctx, fleet.Everyone, 1)
	return errs
}

func concurrent(t *testing.T, store fleet.Store) {
	const workers, rounds = 8, 25
	var wait sync.WaitGroup
	last := make([]fleet.Device, workers)
	for worker := range workers {
		last[worker] = Device(t)
		wait.Go(func() {
			device := &last[worker]
			if _, err := store.Add(t.Context(), *device, 0); err != nil {
				t.Error(err)
				return
			}
			for round := range rounds {
				device.Report = fleet.Report{Config: Config(t, fmt.Sprintf(`{"w%d":%d}`, worker, round)), At: registered,
					Sequence: int64(round + 1)}
				_, err := store.Report(t.Context(), device.ID, device.Report)
				_, changeErr := Change(t.Context(), store, change(t, fleet.Everyone, "", device.Config.String()))
				got, readErr := store.Device(t.Context(), device.ID)
				if err := errors.Join(err, changeErr, readErr); err != nil || !got.Config.Equal(device.Config) {
					t.Errorf("worker %d, round %d: wrote %s, read %s: %v", worker, round, device.Config, got.Config, err)
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
	device := Device(t)
	add(t, store, device)
	ok(t, store.Close())
	for name, err := range every(t.Context(), t, store, device) {
		if !errors.Is(err, fleet.ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := store.Changes(t.Context())
	is(t, err, fleet.ErrClosed)
	ok(t, store.Close()) // a second call does no harm
}

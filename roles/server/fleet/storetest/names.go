package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

func givesNames(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	named := func(want uuid.UUID, name string) {
		t.Helper()
		id, err := store.Named(t.Context(), name)
		ok(t, err)
		if id != want {
			t.Errorf("%s is %s, want %s", name, id, want)
		}
	}
	rename := func(id uuid.UUID, name string, seconds int) int64 {
		t.Helper()
		drawn, err := store.SetName(t.Context(), id, name, by("ann", seconds))
		ok(t, err)
		return drawn
	}
	if drawn := rename(device.ID, "lobby", 5); drawn != 1 || revision(t, store) != 1 {
		t.Errorf("revision %d", drawn)
	}
	device.Name = "lobby"
	holds(t, store, device) // with the previous OwnRevision
	named(device.ID, "lobby")
	if drawn := rename(device.ID, "lobby", 6); drawn != 0 {
		t.Errorf("the same name has drawn revision %d", drawn)
	}
	_, err := store.SetName(t.Context(), other.ID, "lobby", by("bob", 6))
	is(t, err, fleet.ErrNameTaken)
	holds(t, store, other)
	for _, name := range []string{"", "lob", "lobby2", "LOBBY"} {
		_, err = store.Named(t.Context(), name)
		is(t, err, fleet.ErrUnknownDevice)
	}
	rename(device.ID, "hall", 7)
	rename(other.ID, "lobby", 8)
	named(other.ID, "lobby")
	rename(other.ID, "", 9)
	holds(t, store, other)
	rename(device.ID, "", 10) // two without a name
	list, _, err := store.Devices(t.Context(), "", 10)
	ok(t, err)
	for _, device := range list {
		if device.Name != "" {
			t.Errorf("%s has the name %s", device.ID, device.Name)
		}
	}
	entries, err := store.History(t.Context(), "", 0, 10)
	ok(t, err)
	one, two := fleet.DeviceLayer(device.ID), fleet.DeviceLayer(other.ID)
	same(t, []fleet.Entry{
		{Revision: 5, Authorship: by("ann", 10), Layer: one, Action: fleet.Renamed},
		{Revision: 4, Authorship: by("ann", 9), Layer: two, Action: fleet.Renamed},
		{Revision: 3, Authorship: by("ann", 8), Layer: two, Action: fleet.Renamed, Name: "lobby"},
		{Revision: 2, Authorship: by("ann", 7), Layer: one, Action: fleet.Renamed, Name: "hall"},
		{Revision: 1, Authorship: by("ann", 5), Layer: one, Action: fleet.Renamed, Name: "lobby"},
	}, entries)
	if last, err := store.LastChange(t.Context()); last != 0 || err != nil {
		t.Errorf("a name counts as a change of a layer: %d, %v", last, err)
	}
	_, err = store.LayerAt(t.Context(), one, 5)
	is(t, err, fleet.ErrUnknownEntry)
	// The name of a removed device is free.
	rename(device.ID, "lobby", 11)
	ok(t, store.Remove(t.Context(), device.ID, by("ann", 12)))
	_, err = store.Named(t.Context(), "lobby")
	is(t, err, fleet.ErrUnknownDevice)
	rename(other.ID, "lobby", 13)
	named(other.ID, "lobby")
}

func givesNameOnce(t *testing.T, store fleet.Store) {
	var devices []fleet.Device
	for range 8 {
		device := Device(t)
		add(t, store, device)
		devices = append(devices, device)
	}
	oneNameFor(t, "lobby", []fleet.Store{store}, devices)
}

// oneNameFor gives the same name to all devices concurrently, through the stores in turn, and checks that one of them
// gets it.
func oneNameFor(t *testing.T, name string, stores []fleet.Store, devices []fleet.Device) {
	t.Helper()
	var got atomic.Int64
	var wait sync.WaitGroup
	for i, device := range devices {
		wait.Go(func() {
			switch _, err := stores[i%len(stores)].SetName(t.Context(), device.ID, name, by("ann", 1)); {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, fleet.ErrNameTaken):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got.Load() != 1 {
		t.Errorf("%d devices got the name %s, want one", got.Load(), name)
	}
	_, err := stores[0].Named(t.Context(), name)
	ok(t, err)
}

func findsByID(t *testing.T, store fleet.Store) {
	var all []uuid.UUID
	for _, id := range []string{
		"00000000-0000-4000-8000-000000000000", "3f2a0000-0000-4000-8000-000000000001", "3f2a0000-0000-4000-8000-000000000002",
		"3f2affff-ffff-4fff-bfff-ffffffffffff", "3f2b0000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff",
	} {
		device := Device(t)
		device.ID = uuid.MustParse(id)
		all = append(all, device.ID)
	}
	for _, i := range []int{4, 1, 5, 0, 3, 2} { // registered in another order
		device := Device(t)
		device.ID = all[i]
		add(t, store, device)
	}
	lowest, highest := uuid.Nil, uuid.Max
	for _, test := range []struct {
		first, last uuid.UUID
		limit       int
		want        []uuid.UUID
	}{
		{lowest, highest, 10, all},
		{lowest, highest, 2, all[:2]},
		{all[1], all[3], 10, all[1:4]},
		{uuid.MustParse("3f2a0000-0000-0000-0000-000000000000"), uuid.MustParse("3f2affff-ffff-ffff-ffff-ffffffffffff"), 10, all[1:4]},
		{all[2], all[2], 10, all[2:3]},
		{uuid.MustParse("70000000-0000-0000-0000-000000000000"), uuid.MustParse("7fffffff-ffff-ffff-ffff-ffffffffffff"), 10, nil},
	} {
		got, err := store.IDs(t.Context(), test.first, test.last, test.limit)
		ok(t, err)
		if !slices.Equal(test.want, got) {
			t.Errorf("from %s to %s, at most %d: got %s, want %s", test.first, test.last, test.limit, got, test.want)
		}
	}
}

func readsTogether(t *testing.T, store fleet.Store) {
	var ids []uuid.UUID
	want := map[uuid.UUID]fleet.Device{}
	for i := range 5 {
		device := Device(t)
		device.Labels = fleet.Labels{"site": fmt.Sprint(i)}
		add(t, store, device)
		report(t, store, &device, fleet.Report{Config: Config(t, fmt.Sprintf(`{"a":%d}`, i)), At: registered})
		if i%2 == 0 {
			set(t, store, change(t, fleet.DeviceLayer(device.ID), "", `{"b":1}`))
		}
		if i == 3 { // not requested
			continue
		}
		ids = append(ids, device.ID)
		var err error
		want[device.ID], err = store.Device(t.Context(), device.ID)
		ok(t, err)
	}
	list, err := store.DevicesByID(t.Context(), append(ids, uuid.New())) // an unknown device is left out
	ok(t, err)
	for _, device := range list {
		same(t, want[device.ID], device)
		delete(want, device.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d devices are missing", len(want))
	}
	list, err = store.DevicesByID(t.Context(), nil)
	ok(t, err)
	if len(list) > 0 {
		t.Errorf("got %d devices of none", len(list))
	}
}

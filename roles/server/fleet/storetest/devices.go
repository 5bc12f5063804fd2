package storetest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"aspects-poc/roles/server/fleet"
)

func keepsDevices(t *testing.T, store fleet.Store) {
	plain, odd := Device(t), Device(t)
	odd.IPAddress = "fe80::1%eth0"
	odd.PublicKeyRSA = "'; DROP TABLE devices; --" + strings.Repeat("ü", 5000)
	odd.Arch, odd.KeyID = "", ""
	odd.Status = fleet.Revoked
	odd.Labels = fleet.Labels{"site": "berlin", "empty": "", "a/b.c": "x_y"}
	for _, device := range []fleet.Device{plain, odd} {
		add(t, store, device)
	}
	holds(t, store, plain)
	holds(t, store, odd)
	counts(t, store, 2)
}

func addsOnce(t *testing.T, store fleet.Store) {
	first := Device(t)
	add(t, store, first)
	second := Device(t)
	second.ID = first.ID
	_, err := store.Add(t.Context(), second, 0)
	is(t, err, fleet.ErrExists)
	holds(t, store, first)
	counts(t, store, 1)
}

func listsDevices(t *testing.T, store fleet.Store) {
	var want []fleet.Device
	for range 7 {
		device := Device(t)
		add(t, store, device)
		report(t, store, &device, fleet.Report{Config: Config(t, `{"a":1}`), Sequence: 2, At: registered,
			Running: fleet.Running{Revision: 3, Hash: "h"}, Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 3}})
		device.PublicKeyRSA, device.Config = "", fleet.Config{}
		want = append(want, device)
	}
	own := set(t, store, change(t, fleet.DeviceLayer(want[2].ID), "", `{"t":2}`))
	want[2].Own, want[2].OwnRevision = &own, own.Revision
	// For devices that do not report what they run, the configuration is there, too.
	var mute []fleet.Device
	for _, i := range []int{1, 5} {
		report(t, store, &want[i], fleet.Report{Config: Config(t, `{"m":1}`), At: registered,
			Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 1}})
		want[i].Sequence = 2
		mute = append(mute, want[i])
	}
	first, next, err := store.Mute(t.Context(), "", 1)
	ok(t, err)
	rest, end, err := store.Mute(t.Context(), next, 100)
	ok(t, err)
	same(t, mute, append(first, rest...))
	if len(first) != 1 || next == "" || end != "" {
		t.Errorf("%d, then %q; in the end %q", len(first), next, end)
	}
	whole, next, err := store.Configs(t.Context(), "", 7)
	ok(t, err)
	if next != "" || len(whole) != 7 || whole[0].Config.String() != `{"a":1}` || whole[1].Config.String() != `{"m":1}` {
		t.Errorf("%d devices with their configurations, of the first %s; then %q", len(whole), whole[0].Config, next)
	}
	for _, limit := range []int{1, 3, 7, 100} {
		var got []fleet.Device
		after, pages := "", 0
		for {
			list, next, err := store.Devices(t.Context(), after, limit)
			ok(t, err)
			if len(list) > limit {
				t.Errorf("%d devices, at most %d were wanted", len(list), limit)
			}
			got = append(got, list...)
			if pages++; next == "" || pages > 10 {
				break
			}
			after = next
		}
		same(t, want, got)
		if wantPages := (7 + limit - 1) / limit; pages != wantPages {
			t.Errorf("%d pages of %d, want %d", pages, limit, wantPages)
		}
	}
	_, _, err = store.Devices(t.Context(), "no place", 1)
	is(t, err, fleet.ErrBadCursor)
}

func replacesLabels(t *testing.T, store fleet.Store) {
	device := Device(t)
	add(t, store, device)
	berlin, paris := fleet.Labels{"site": "berlin"}, fleet.Labels{"site": "paris"}
	drawn, err := store.SetLabels(t.Context(), device.ID, nil, berlin, by("ann", 5))
	ok(t, err)
	device.Labels, device.OwnRevision = berlin, drawn
	holds(t, store, device)
	if drawn != 1 || revision(t, store) != 1 {
		t.Errorf("revision %d", drawn)
	}
	_, err = store.SetLabels(t.Context(), device.ID, nil, paris, by("bob", 6))
	is(t, err, fleet.ErrStale)
	drawn, err = store.SetLabels(t.Context(), device.ID, berlin, berlin, by("bob", 6))
	if drawn != 0 || err != nil {
		t.Error(drawn, err)
	}
	holds(t, store, device)
	drawn, err = store.SetLabels(t.Context(), device.ID, berlin, nil, by("bob", 7))
	ok(t, err)
	device.Labels, device.OwnRevision = nil, drawn
	holds(t, store, device)
	entries, err := store.History(t.Context(), "", 0, 10)
	ok(t, err)
	if last, err := store.LastChange(t.Context()); last != 0 || err != nil {
		t.Errorf("labels count as a change of a layer: %d, %v", last, err)
	}
	layer := fleet.DeviceLayer(device.ID)
	same(t, []fleet.Entry{
		{Revision: 2, Authorship: by("bob", 7), Layer: layer, Action: fleet.Relabeled},
		{Revision: 1, Authorship: by("ann", 5), Layer: layer, Action: fleet.Relabeled, Labels: berlin},
	}, entries)
}

func replacesStatus(t *testing.T, store fleet.Store) {
	device := Device(t)
	device.Status = fleet.Pending
	add(t, store, device)
	for _, status := range []fleet.Status{fleet.Active, fleet.Revoked, fleet.Revoked, fleet.Active} {
		ok(t, store.SetStatus(t.Context(), device.ID, status, nil))
		device.Status = status
		holds(t, store, device)
	}
	if revision(t, store) != 0 {
		t.Error("a status has drawn a revision")
	}
}

func removesDevices(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	set(t, store, change(t, fleet.DeviceLayer(device.ID), "", `{"a":1}`))
	ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered,
		Stats: &fleet.Stats{At: registered, Text: "{}"}}}))
	ok(t, store.Remove(t.Context(), device.ID, by("bob", 9)))
	_, err := store.Device(t.Context(), device.ID)
	is(t, err, fleet.ErrUnknownDevice)
	_, err = store.Layer(t.Context(), fleet.DeviceLayer(device.ID))
	is(t, err, fleet.ErrUnknownLayer)
	counts(t, store, 1)
	holds(t, store, other)
	entry, err := store.Entry(t.Context(), revision(t, store))
	ok(t, err)
	before := Config(t, `{"a":1}`)
	same(t, fleet.Entry{Revision: 2, Authorship: by("bob", 9), Layer: fleet.DeviceLayer(device.ID), Action: fleet.Removed,
		Before: &before}, entry)
	ok(t, store.Remove(t.Context(), other.ID, by("bob", 9))) // without a layer, history has nothing to tell
	if got := revision(t, store); got != 2 {
		t.Errorf("revision %d", got)
	}
	add(t, store, device) // as a new device
}

// boundsPending lets as many devices as possible wait for approval, some of them concurrently.
func boundsPending(t *testing.T, store fleet.Store) {
	const most = 3
	pending := func() fleet.Device {
		device := Device(t)
		device.Status = fleet.Pending
		return device
	}
	first := pending()
	kept, err := store.Add(t.Context(), first, most)
	ok(t, err)
	same(t, first, kept)
	var in, out atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		device := pending()
		wait.Go(func() {
			switch _, err := store.Add(t.Context(), device, most); {
			case err == nil:
				in.Add(1)
			case errors.Is(err, fleet.ErrPendingFull):
				out.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if in.Load() != most-1 || out.Load() != 8-(most-1) {
		t.Errorf("%d more were kept, %d refused", in.Load(), out.Load())
	}
	counts(t, store, most)
	// A device that waits already, devices that need not wait, and a call without a limit.
	again := pending()
	again.Identity, again.KeyID = first.Identity, first.KeyID
	kept, err = store.Add(t.Context(), again, most)
	ok(t, err)
	same(t, first, kept)
	_, err = store.Add(t.Context(), Device(t), most)
	ok(t, err)
	_, err = store.Add(t.Context(), pending(), 0)
	ok(t, err)
	// Once one is approved and one is removed, there is room again.
	_, err = store.Add(t.Context(), pending(), most)
	is(t, err, fleet.ErrPendingFull)
	ok(t, store.SetStatus(t.Context(), first.ID, fleet.Active, nil))
	_, err = store.Add(t.Context(), pending(), most)
	is(t, err, fleet.ErrPendingFull)
	list, _, err := store.Devices(t.Context(), "", 100)
	ok(t, err)
	for _, device := range list {
		if device.Status == fleet.Pending {
			ok(t, store.Remove(t.Context(), device.ID, by("ann", 1)))
			break
		}
	}
	_, err = store.Add(t.Context(), pending(), most)
	ok(t, err)
}

// anyKey is a public key. Nobody has its private key.
const anyKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Hpm24KliZhoRew/F3Eu\n" +
	"uSvJNfWfJyn3O4ZNSjW+z4wyXzXO8kel6u4kE+XB8yj5jf47pOdOgIPvOJfuwO0Q\n" +
	"BP5b6Zsm4Vq1wSJbbcCubv+qKmE8BkSu+G1a0oJdEc4jCmHf6GcYgxylL+swho6v\n" +
	"U76baDjrXr2tsWzO2LAITXzsM6EPao2JD3pWDUHLSFLjsv/0dIkkbF3g6oK5c3gH\n" +
	"vmcZfLfVMa8xzUNUf95CArwo0APBkE0uE2iCT1AwRv7v5hvtQpENSqYipMd+co06\n" +
	"D+P7EXuZM8JqHFcqoZldNiQKUnHcDpT08R6nzvc9fZE4A1oF9NscZIhoJL6jxInn\n" +
	"DQIDAQAB\n"

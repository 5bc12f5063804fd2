package storetest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
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

// knowsKeys has a device register again with the key that it has, as one does that never got its answer.
func knowsKeys(t *testing.T, store fleet.Store) {
	first, other := Device(t), Device(t)
	first.Labels = fleet.Labels{"site": "berlin"}
	add(t, store, first)
	add(t, store, other)
	again := Device(t)
	again.Identity = fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: first.PublicKeyRSA, Arch: "arm64"}
	again.Labels, again.Status = fleet.Labels{"site": "paris"}, fleet.Pending
	kept, err := store.Add(t.Context(), again, 0)
	ok(t, err)
	same(t, first, kept)
	holds(t, store, first)
	_, err = store.Device(t.Context(), again.ID)
	is(t, err, fleet.ErrUnknownDevice)
	counts(t, store, 2)

	const key = "-----BEGIN PUBLIC KEY-----\n" + anyKey + "-----END PUBLIC KEY-----\n"
	written := Device(t)
	written.PublicKeyRSA, written.KeyID = key, ""
	add(t, store, written)
	for _, text := range waysOfWriting(t, key) {
		again := Device(t)
		again.PublicKeyRSA, again.KeyID = text, ""
		kept, err := store.Add(t.Context(), again, 0)
		ok(t, err)
		same(t, written, kept)
	}
	ok(t, store.Remove(t.Context(), written.ID, by("ann", 1)))

	const crowd = 8 // of calls at the same time
	rival := Device(t)
	var wait sync.WaitGroup
	ids := make([]uuid.UUID, crowd)
	for i := range crowd {
		device := Device(t)
		device.Identity, device.KeyID = rival.Identity, rival.KeyID
		wait.Go(func() {
			kept, err := store.Add(t.Context(), device, 0)
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
		keyless := Device(t)
		keyless.PublicKeyRSA, keyless.KeyID = "", ""
		add(t, store, keyless)
	}
	counts(t, store, 5)
}

func findsByKey(t *testing.T, store fleet.Store) {
	first, keyless := Device(t), Device(t)
	keyless.KeyID = ""
	add(t, store, first)
	add(t, store, keyless)
	got, err := store.DeviceByKey(t.Context(), first.KeyID)
	ok(t, err)
	same(t, first, got)
	for _, unknown := range []string{"", "another"} {
		_, err = store.DeviceByKey(t.Context(), unknown)
		is(t, err, fleet.ErrUnknownDevice)
	}
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
	// Of those that do not say what they run, the configuration is there too.
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

func keepsReports(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	for i, config := range []string{`{"a":{"b":1}}`, `{"a":{"c":2}}`, `{}`,
		`{"n":9007199254740993,"f":1.10,"e":1e400,"s":"\u0000 'ü' \\","deep":{"a":[null,{"b":[]}]}}`,
		`{"big":"` + strings.Repeat("x", 1<<20) + `"}`} {
		report(t, store, &device, fleet.Report{
			Config:    Config(t, config),
			Sequence:  int64(i + 1),
			Instance:  name("machine", i),
			Running:   fleet.Running{Revision: int64(i), Hash: name("hash", i)},
			Attempted: fleet.Attempted{Revision: 1 << 60, Outcome: fleet.Refused, Path: "a.b", Reason: "it is 'odd'", At: -5},
			At:        registered.Add(time.Duration(i+1) * time.Hour),
			Verdict:   fleet.Verdict{State: fleet.StateRefused, Revision: int64(i)},
		})
		holds(t, store, device)
	}
	report(t, store, &device, fleet.Report{At: registered.Add(time.Hour), Verdict: device.Verdict}) // of a client that says no more
	holds(t, store, device)
	holds(t, store, other)
}

func ordersReports(t *testing.T, store fleet.Store) {
	device := Device(t)
	add(t, store, device)
	report(t, store, &device, fleet.Report{Config: Config(t, `{"a":1}`), Sequence: 5, At: registered})
	late := fleet.Report{Config: Config(t, `{"a":0}`), Sequence: 4, At: registered.Add(time.Second),
		Running: fleet.Running{Revision: 1}, Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 9}}
	sequence, err := store.Report(t.Context(), device.ID, late)
	ok(t, err)
	if sequence != 5 {
		t.Errorf("sequence %d", sequence)
	}
	holds(t, store, device)
	report(t, store, &device, fleet.Report{Config: Config(t, `{"a":2}`), Sequence: 5, At: registered}) // once more, with more
	report(t, store, &device, fleet.Report{Config: Config(t, `{"a":3}`), Sequence: 6, At: registered,
		Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 9}})
	// A verdict is of its report, and goes with it: also one for an earlier revision, which says nothing of a later one.
	report(t, store, &device, fleet.Report{Config: Config(t, `{"a":4}`), Sequence: 7, At: registered,
		Verdict: fleet.Verdict{State: fleet.StateBehind, Revision: 8}})
	holds(t, store, device)
}

func keepsSeen(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	observe := func(seen int) {
		t.Helper()
		observation := fleet.Observation{ID: device.ID, Seen: registered.Add(time.Duration(seen) * time.Second)}
		stranger := observation
		stranger.ID = uuid.New()
		ok(t, store.Observe(t.Context(), []fleet.Observation{stranger, observation}))
	}
	observe(60)
	device.LastSeen = registered.Add(time.Minute)
	holds(t, store, device)
	observe(50) // later told, but earlier
	holds(t, store, device)
	for _, seconds := range []int{20, 10} {
		ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered,
			Twins: registered.Add(time.Duration(seconds) * time.Second)}}))
		device.Twins = registered.Add(20 * time.Second)
		holds(t, store, device)
	}
	for _, seconds := range []int{25, 15} {
		ok(t, store.SetAlone(t.Context(), device.ID, registered.Add(time.Duration(seconds)*time.Second)))
		device.Alone = registered.Add(25 * time.Second)
		holds(t, store, device)
	}
	observe(70)
	device.LastSeen = registered.Add(70 * time.Second)
	holds(t, store, device)
	holds(t, store, other)
	var crowd []fleet.Observation
	for range 1000 {
		crowd = append(crowd, fleet.Observation{ID: other.ID, Seen: registered})
	}
	ok(t, store.Observe(t.Context(), crowd))
	other.LastSeen = registered
	holds(t, store, other)
	ok(t, store.Observe(t.Context(), nil))
}

func keepsStats(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	at := func(minutes int) time.Time {
		return registered.Truncate(time.Hour).Add(time.Duration(minutes) * time.Minute)
	}
	point := func(minutes int, text string, thin ...fleet.Thinning) {
		t.Helper()
		ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: at(minutes),
			Stats: &fleet.Stats{At: at(minutes), Text: text}, Thin: thin}}))
	}
	holdsStats := func(since int, want ...string) {
		t.Helper()
		list, err := store.Stats(t.Context(), device.ID, at(since))
		ok(t, err)
		var got []string
		for _, stats := range list {
			got = append(got, fmt.Sprint(stats.At.Sub(at(0)).Minutes(), " ", stats.Text))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	holdsStats(0)
	for minutes := 0; minutes <= 60; minutes += 10 {
		point(minutes, fmt.Sprintf(`{"n":%d}`, minutes))
	}
	point(60, `{"n":61}`)
	holdsStats(40, `40 {"n":40}`, `50 {"n":50}`, `60 {"n":61}`)
	point(70, `{}`, fleet.Thinning{Before: at(40), Step: 30 * time.Minute}, fleet.Thinning{Before: at(20)})
	holdsStats(0, `30 {"n":30}`, `40 {"n":40}`, `50 {"n":50}`, `60 {"n":61}`, `70 {}`)
	list, err := store.Stats(t.Context(), other.ID, at(0))
	if len(list) != 0 || err != nil {
		t.Error(list, err)
	}
	_, err = store.Stats(t.Context(), uuid.New(), at(0))
	is(t, err, fleet.ErrUnknownDevice)
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
		ok(t, store.SetStatus(t.Context(), device.ID, status))
		device.Status = status
		holds(t, store, device)
	}
	if revision(t, store) != 0 {
		t.Error("a status has drawn a revision")
	}
}

func replacesKey(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	old := device
	ok(t, store.SetKey(t.Context(), device.ID, device.KeyID, "new PEM", "new key"))
	device.PublicKeyRSA, device.KeyID = "new PEM", "new key"
	holds(t, store, device)
	_, err := store.DeviceByKey(t.Context(), old.KeyID)
	is(t, err, fleet.ErrUnknownDevice)
	is(t, store.SetKey(t.Context(), device.ID, old.KeyID, "third PEM", "third key"), fleet.ErrStale)
	is(t, store.SetKey(t.Context(), device.ID, device.KeyID, other.PublicKeyRSA, other.KeyID), fleet.ErrExists)
	holds(t, store, device)
	// The old key is nobody's: whoever has it registers a device of its own.
	newcomer := Device(t)
	newcomer.Identity, newcomer.KeyID = old.Identity, old.KeyID
	add(t, store, newcomer)
}

// keepsRevokedKeys removes revoked devices, whose keys must not come back.
func keepsRevokedKeys(t *testing.T, store fleet.Store) {
	stolen, unsigned, active := Device(t), Device(t), Device(t)
	unsigned.PublicKeyRSA, unsigned.KeyID = "-----BEGIN PUBLIC KEY-----\n"+anyKey+"-----END PUBLIC KEY-----\n", ""
	for _, device := range []fleet.Device{stolen, unsigned, active} {
		add(t, store, device)
	}
	for _, device := range []fleet.Device{stolen, unsigned} {
		ok(t, store.SetStatus(t.Context(), device.ID, fleet.Revoked))
	}
	for i, device := range []fleet.Device{stolen, unsigned, active} {
		ok(t, store.Remove(t.Context(), device.ID, by("ann", i)))
	}
	keys := []fleet.RevokedKey{{KeyID: stolen.KeyID, Device: stolen.ID, At: by("", 0).At},
		{KeyID: fleet.KeyID(unsigned.PublicKeyRSA), Device: unsigned.ID, At: by("", 1).At}}
	revoked := func(want ...fleet.RevokedKey) {
		t.Helper()
		got, err := store.RevokedKeys(t.Context())
		ok(t, err)
		same(t, want, got)
	}
	revoked(keys...)
	refused := func(device fleet.Device) {
		t.Helper()
		again := device
		again.ID = uuid.New()
		_, err := store.Add(t.Context(), again, 0)
		is(t, err, fleet.ErrRevoked)
		_, err = store.Add(t.Context(), again, 1000)
		is(t, err, fleet.ErrRevoked)
		_, err = store.DeviceByKey(t.Context(), device.KeyID)
		is(t, err, fleet.ErrRevoked)
	}
	refused(stolen)
	unsigned.KeyID = fleet.KeyID(unsigned.PublicKeyRSA)
	refused(unsigned)
	add(t, store, active) // it was not revoked
	is(t, store.SetKey(t.Context(), active.ID, active.KeyID, stolen.PublicKeyRSA, stolen.KeyID), fleet.ErrRevoked)
	holds(t, store, active)
	is(t, store.AllowKey(t.Context(), active.KeyID), fleet.ErrUnknownKey)
	ok(t, store.AllowKey(t.Context(), stolen.KeyID))
	is(t, store.AllowKey(t.Context(), stolen.KeyID), fleet.ErrUnknownKey)
	revoked(keys[1])
	_, err := store.DeviceByKey(t.Context(), stolen.KeyID)
	is(t, err, fleet.ErrUnknownDevice)
	stolen.ID = uuid.New()
	add(t, store, stolen)
	refused(unsigned)
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
	add(t, store, device) // as a new one
}

func countsStandings(t *testing.T, store fleet.Store) {
	berlin := fleet.Labels{"site": "berlin"}
	for i := range 6 {
		device := Device(t)
		if i%2 == 0 {
			device.Labels = berlin
		}
		if i == 5 {
			device.Status = fleet.Pending
		}
		add(t, store, device)
		if i < 3 {
			running := fleet.Running{Revision: 4}
			if i == 2 {
				running = fleet.Running{} // it does not say
			}
			report(t, store, &device, fleet.Report{At: registered, Running: running,
				Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 4}})
			ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered.Add(time.Duration(i) * time.Hour)}}))
			if i < 2 { // of which the second has been seen for an hour since
				ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered, Twins: registered}}))
			}
		}
		if i == 3 || i == 4 { // an operator knew better, before the one and after the other
			ok(t, store.SetAlone(t.Context(), device.ID, registered))
			ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered,
				Twins: registered.Add(time.Duration(4-i) * time.Second)}}))
		}
		if i == 0 {
			for n := range 6 { // up to revision 6, which is beyond the verdict's
				set(t, store, change(t, fleet.DeviceLayer(device.ID), "", fmt.Sprintf(`{"n":%d}`, n)))
			}
		}
	}
	groups, err := store.Standings(t.Context(), registered.Add(time.Hour), time.Hour)
	ok(t, err)
	got := map[string]string{}
	for _, group := range groups {
		key := fmt.Sprint(group.Status, " ", group.Verdict.State, " ", group.Verdict.Revision, " ", group.Own, " ", group.Mute, " ", group.Labels)
		got[key] = fmt.Sprint(group.Count, " of which silent ", group.Silent, " and cloned ", group.Cloned)
	}
	want := map[string]string{
		"active in-sync 4 6 false " + berlin.String(): "1 of which silent 1 and cloned 1",
		"active in-sync 4 0 false {}":                 "1 of which silent 0 and cloned 0",
		"active in-sync 4 0 true " + berlin.String():  "1 of which silent 0 and cloned 0",
		"active unknown 0 0 false {}":                 "1 of which silent 1 and cloned 1",
		"active unknown 0 0 false " + berlin.String(): "1 of which silent 1 and cloned 0",
		"pending unknown 0 0 false {}":                "1 of which silent 1 and cloned 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// boundsPending has devices wait for approval, as many as may, of which some come at the same time.
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
	// Who waits already, who need not wait, and whom nothing bounds.
	again := pending()
	again.Identity, again.KeyID = first.Identity, first.KeyID
	kept, err = store.Add(t.Context(), again, most)
	ok(t, err)
	same(t, first, kept)
	_, err = store.Add(t.Context(), Device(t), most)
	ok(t, err)
	_, err = store.Add(t.Context(), pending(), 0)
	ok(t, err)
	// Once one is approved and one is gone, there is room again.
	_, err = store.Add(t.Context(), pending(), most)
	is(t, err, fleet.ErrPendingFull)
	ok(t, store.SetStatus(t.Context(), first.ID, fleet.Active))
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

// anyKey is a public key whose private half nobody has kept.
const anyKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Hpm24KliZhoRew/F3Eu\n" +
	"uSvJNfWfJyn3O4ZNSjW+z4wyXzXO8kel6u4kE+XB8yj5jf47pOdOgIPvOJfuwO0Q\n" +
	"BP5b6Zsm4Vq1wSJbbcCubv+qKmE8BkSu+G1a0oJdEc4jCmHf6GcYgxylL+swho6v\n" +
	"U76baDjrXr2tsWzO2LAITXzsM6EPao2JD3pWDUHLSFLjsv/0dIkkbF3g6oK5c3gH\n" +
	"vmcZfLfVMa8xzUNUf95CArwo0APBkE0uE2iCT1AwRv7v5hvtQpENSqYipMd+co06\n" +
	"D+P7EXuZM8JqHFcqoZldNiQKUnHcDpT08R6nzvc9fZE4A1oF9NscZIhoJL6jxInn\n" +
	"DQIDAQAB\n"

// waysOfWriting returns other texts of a public key.
func waysOfWriting(t *testing.T, key string) (texts []string) {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		t.Fatal("no PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	ok(t, err)
	other := pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(parsed.(*rsa.PublicKey))}
	plain := string(pem.EncodeToMemory(&other))
	block.Headers = map[string]string{"Comment": "a key"}
	return []string{plain, string(pem.EncodeToMemory(block)), strings.TrimSpace(key), "\n " + key + " \n\n", strings.ReplaceAll(key, "\n", "\r\n"),
		strings.ReplaceAll(key, "\n", "\r"), strings.ReplaceAll(key, "\n", "\n\t"), strings.ReplaceAll(plain, "\n", " \r\n"),
		strings.Replace(key, "MIIB", "MI\nIB", 1), strings.Replace(key, "MIIB", "MI IB", 1)}
}

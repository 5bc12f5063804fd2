package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

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
	report(t, store, &device, fleet.Report{At: registered.Add(time.Hour), Verdict: device.Verdict}) // of a client that reports no more
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
	// A verdict belongs to its report and is replaced with it, also by one for an earlier revision.
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
	observe(50) // a later call with an earlier time
	holds(t, store, device)
	for _, seconds := range []int{20, 10} {
		ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered,
			Twins: registered.Add(time.Duration(seconds) * time.Second)}}))
		device.Twins = registered.Add(20 * time.Second)
		holds(t, store, device)
	}
	for _, seconds := range []int{25, 15} {
		ok(t, store.SetAlone(t.Context(), device.ID, registered.Add(time.Duration(seconds)*time.Second), nil))
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

// keepsTimes has devices seen by a clock that was ahead, and corrects their times.
func keepsTimes(t *testing.T, store fleet.Store) {
	keeper, keeps := store.(fleet.Timekeeper)
	if !keeps {
		t.Skip("the store is no Timekeeper")
	}
	newest := func() time.Time {
		newest, err := keeper.Newest(t.Context())
		ok(t, err)
		return newest
	}
	if got := newest(); !got.IsZero() {
		t.Errorf("without a device: %v", got)
	}
	early, late := Device(t), Device(t)
	add(t, store, early)
	add(t, store, late)
	ahead, now := registered.AddDate(14, 0, 0), registered.Add(time.Hour)
	ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: late.ID, Seen: ahead, Twins: ahead, Stats: &fleet.Stats{At: ahead, Text: "{}"}}}))
	ok(t, store.SetAlone(t.Context(), late.ID, ahead, nil))
	if got := newest(); !got.Equal(ahead) {
		t.Errorf("newest is %v, want %v", got, ahead)
	}
	ok(t, keeper.Settle(t.Context(), now))
	for _, want := range []struct {
		device      uuid.UUID
		seen, twins time.Time
	}{{early.ID, registered, time.Time{}}, {late.ID, now, now}} {
		got, err := store.Device(t.Context(), want.device)
		ok(t, err)
		if !got.LastSeen.Equal(want.seen) || !got.Twins.Equal(want.twins) || !got.Alone.Equal(want.twins) {
			t.Errorf("seen %v, twins %v, alone %v, want %+v", got.LastSeen, got.Twins, got.Alone, want)
		}
	}
	if points, err := store.Stats(t.Context(), late.ID, time.Unix(0, 0)); err != nil || len(points) != 0 {
		t.Errorf("%+v, %v", points, err)
	}
	if got := newest(); !got.Equal(now) {
		t.Errorf("newest is %v, want %v", got, now)
	}
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
				running = fleet.Running{} // it does not report that
			}
			report(t, store, &device, fleet.Report{At: registered, Running: running,
				Verdict: fleet.Verdict{State: fleet.StateInSync, Revision: 4}})
			ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered.Add(time.Duration(i) * time.Hour)}}))
			if i < 2 { // the second of them has been seen for an hour since
				ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered, Twins: registered}}))
			}
		}
		if i == 3 || i == 4 { // an operator has said that, before the one and after the other
			ok(t, store.SetAlone(t.Context(), device.ID, registered, nil))
			ok(t, store.Observe(t.Context(), []fleet.Observation{{ID: device.ID, Seen: registered,
				Twins: registered.Add(time.Duration(4-i) * time.Second)}}))
		}
		if i == 0 {
			for n := range 6 { // up to revision 6, which is after the verdict's
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

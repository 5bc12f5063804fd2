package storetest

import (
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/go-cmp/cmp"
)

// plan returns a plan of two stages.
func plan(t *testing.T) release.Plan {
	t.Helper()
	plan, err := release.Parse([]byte(`{"stages":[{"devices":1},{"percent":100}]}`), time.Minute, func(string) error { return nil })
	ok(t, err)
	return plan
}

// releasing returns a batch that is released.
func releasing(t *testing.T, changes ...fleet.Change) fleet.Batch {
	t.Helper()
	return fleet.Batch{Changes: changes, Release: &fleet.NewRelease{Plan: plan(t), Authorship: by("bo", 5)}}
}

// moved returns a move to a phase.
func moved(of fleet.Release, phase release.Phase) fleet.ReleaseMove {
	move := fleet.ReleaseMove{ID: of.ID, Version: of.Version, Authorship: by("cy", 9), Progress: of.Progress}
	move.Progress.Phase, move.Progress.Stage = phase, 1
	move.Progress.Admit = release.Admitted{{Below: 1 << 63, At: registered}}
	move.Outcome = fleet.Outcomes{Causes: []fleet.Cause{{Outcome: "refused", Path: "a\x00b", Devices: 2}}}
	return move
}

// waits returns the concerns of devices that are not admitted.
func waits(t *testing.T, store fleet.Store) map[string]int64 {
	t.Helper()
	targets, err := store.Targets(t.Context())
	ok(t, err)
	list := map[string]int64{}
	for _, concern := range targets.Concerns {
		if concern.Waiting != nil {
			list[concern.Selector.String()] = *concern.Waiting
		}
	}
	return list
}

// keepsReleases begins a release, changes other things meanwhile, and undoes it.
func keepsReleases(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	own := fleet.DeviceLayer(device.ID)
	everyone := set(t, store, change(t, fleet.Everyone, "", `{"x":1}`)) // 1
	ownBefore := set(t, store, change(t, own, "", `{"o":1}`))           // 2
	berlin := set(t, store, change(t, "labels/b", "site=b", `{"b":1}`)) // 3
	_, err := store.Release(ctx, 6)
	is(t, err, fleet.ErrUnknownRelease)
	nothing, err := store.ChangeAll(ctx, releasing(t, change(t, fleet.Everyone, "", `{"x":1}`)))
	ok(t, err)
	same(t, []fleet.Layer{everyone}, nothing)
	if revision(t, store) != 3 {
		t.Error("a release that changes nothing began")
	}

	removes := change(t, "labels/b", "", `{}`)
	removes.Remove = true
	_, err = store.ChangeAll(ctx, releasing(t, // 4 to 7, and the release 8
		change(t, fleet.Everyone, "", `{"x":2}`), change(t, own, "", `{"o":2}`), removes, change(t, "labels/n", "site=n", `{"n":2}`)))
	ok(t, err)
	want := fleet.Release{ID: 8, Version: 1, Authorship: by("bo", 5), Layers: []fleet.LayerName{fleet.Everyone, own, "labels/b", "labels/n"},
		Plan: plan(t), Progress: release.Begin(plan(t), registered.Add(5*time.Second))}
	got, err := store.Release(ctx, 8)
	ok(t, err)
	same(t, want, got)
	targets, err := store.Targets(ctx)
	ok(t, err)
	none := fleet.Layer{Name: "labels/n"}
	want.Before = []fleet.Before{{Layer: ownBefore, Own: 2}, {Layer: everyone}, {Layer: berlin}, {Layer: none}}
	same(t, want, *targets.Release)
	if diff := cmp.Diff(map[string]int64{"": 1, "site=b": 3, "site=n": 0}, waits(t, store)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"": 4, "site=b": 6, "site=n": 7}, concerns(t, store)); diff != "" {
		t.Error(diff)
	}
	entry, err := store.Entry(ctx, 8)
	ok(t, err)
	same(t, fleet.Entry{Revision: 8, Authorship: by("bo", 5), Layer: "releases/8", Action: fleet.Moved, Step: "released in stages"}, entry)
	last, err := store.LastChange(ctx)
	ok(t, err)
	if last != 7 {
		t.Errorf("the last change is %d", last)
	}

	for _, batch := range []fleet.Batch{releasing(t, change(t, "labels/z", "site=z", `{}`)), {Changes: []fleet.Change{change(t, own, "", `{"o":3}`)}},
		{Changes: []fleet.Change{change(t, "labels/z", "site=z", `{}`), change(t, fleet.Everyone, "", `{"x":3}`)}}} {
		_, err = store.ChangeAll(ctx, batch)
		is(t, err, fleet.ErrReleasing)
	}
	// A change during a release draws two revisions.
	if layer := set(t, store, change(t, "labels/c", "site=b", `{"c":1}`)); layer.Revision != 10 {
		t.Errorf("the change has revision %d", layer.Revision)
	}
	labels, err := store.SetLabels(ctx, other.ID, nil, fleet.Labels{"site": "b"}, by("ann", 6))
	ok(t, err)
	ofOther := set(t, store, change(t, fleet.DeviceLayer(other.ID), "", `{"o":9}`))
	if labels != 12 || ofOther.Revision != 14 || revision(t, store) != 14 {
		t.Errorf("the labels have revision %d, the device's layer %d", labels, ofOther.Revision)
	}
	if diff := cmp.Diff(map[string]int64{"": 1, "site=b": 9, "site=n": 0}, waits(t, store)); diff != "" {
		t.Error(diff)
	}

	stale := moved(want, release.Rolling)
	stale.Version = 2
	_, err = store.MoveRelease(ctx, stale)
	is(t, err, fleet.ErrStale)
	stale.ID = 7
	_, err = store.MoveRelease(ctx, stale)
	is(t, err, fleet.ErrUnknownRelease)
	move := moved(want, release.Rolling) // 15
	want.Version, want.Progress, want.Outcome = 2, move.Progress, move.Outcome
	got, err = store.MoveRelease(ctx, move)
	ok(t, err)
	want.Before = nil
	same(t, want, got)
	_, err = store.MoveRelease(ctx, move)
	is(t, err, fleet.ErrStale)
	entry, err = store.Entry(ctx, 15)
	ok(t, err)
	same(t, fleet.Entry{Revision: 15, Authorship: by("cy", 9), Layer: "releases/8", Action: fleet.Moved,
		Step: "stage 1 of 2 begins: 1 device"}, entry)

	device.Own, device.OwnRevision = &ownBefore, 0
	undo := moved(want, release.Undone) // 16 to 19, in the order of names, and 20
	got, err = store.MoveRelease(ctx, undo)
	ok(t, err)
	want.Version, want.Progress = 3, undo.Progress
	same(t, want, got)
	targets, err = store.Targets(ctx)
	ok(t, err)
	if targets.Release != nil || targets.Revision != 20 || len(waits(t, store)) != 0 {
		t.Errorf("the release has left %+v", targets)
	}
	ownBefore.Revision, everyone.Revision, berlin.Revision = 16, 17, 18
	ownBefore.Authorship, everyone.Authorship, berlin.Authorship = by("cy", 9), by("cy", 9), by("cy", 9)
	same(t, everyone, targets.Everyone)
	same(t, berlin, targets.Labels[0])
	if len(targets.Labels) != 2 || targets.Labels[1].Name != "labels/c" {
		t.Errorf("the labels' layers are %+v", targets.Labels)
	}
	device.Own, device.OwnRevision = &ownBefore, 16
	holds(t, store, device)
	if diff := cmp.Diff(map[string]int64{"": 17, "site=b": 18, "site=n": 19}, concerns(t, store)); diff != "" {
		t.Error(diff)
	}
	entry, err = store.Entry(ctx, 17)
	ok(t, err)
	same(t, fleet.Entry{Revision: 17, Authorship: by("cy", 9), Layer: fleet.Everyone, Action: fleet.Set, Restores: 1,
		Before: new(Config(t, `{"x":2}`)), After: new(Config(t, `{"x":1}`))}, entry)
	_, err = store.MoveRelease(ctx, moved(got, release.Rolling))
	is(t, err, fleet.ErrStale)

	// The next one is done, although its device is removed.
	_, err = store.ChangeAll(ctx, releasing(t, change(t, own, "", `{"o":7}`), change(t, "labels/n", "site=n", `{"n":7}`))) // 21 to 23
	ok(t, err)
	ok(t, store.Remove(ctx, device.ID, by("ann", 1)))
	next, err := store.Release(ctx, 23)
	ok(t, err)
	_, err = store.MoveRelease(ctx, moved(next, release.Undone))
	ok(t, err)
	_, err = store.ChangeAll(ctx, releasing(t, change(t, "labels/n", "site=n", `{"n":8}`)))
	ok(t, err)
	list, err := store.Releases(ctx, 0, 1)
	ok(t, err)
	_, err = store.MoveRelease(ctx, moved(list[0], release.Done))
	ok(t, err)
	if layer, err := store.Layer(ctx, "labels/n"); err != nil || layer.Config.String() != `{"n":8}` || len(waits(t, store)) != 0 {
		t.Errorf("%+v, %v", layer, err)
	}
	list, err = store.Releases(ctx, list[0].ID, 5)
	ok(t, err)
	if len(list) != 2 || list[0].ID != 23 || list[1].ID != 8 || list[1].Progress.Phase != release.Undone {
		t.Errorf("%+v", list)
	}
}

// releasesSecrets changes named secrets during a release. Only layers from before the release refer to them.
func releasesSecrets(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	device := Device(t)
	add(t, store, device)
	own := fleet.DeviceLayer(device.ID)
	wifi := secretChange(t, "wifi", `1`)
	_, err := store.ChangeSecret(ctx, wifi) // 1
	ok(t, err)
	set(t, store, referring(t, own, "", "wifi", 1))                                                              // 2
	set(t, store, referring(t, "labels/a", "site=a", "wifi", 1))                                                 // 3
	_, err = store.ChangeAll(ctx, releasing(t, change(t, own, "", `{}`), change(t, "labels/a", "site=b", `{}`))) // 4 to 6
	ok(t, err)
	wifi.Value = secretChange(t, "wifi", `2`).Value
	wifi.Uses = fleet.Uses{Layers: 2, Last: 3}
	kept, err := store.ChangeSecret(ctx, wifi)
	ok(t, err)
	got, err := store.Device(ctx, device.ID)
	ok(t, err)
	if kept.Revision != 8 || got.OwnRevision != 8 {
		t.Errorf("the secret has revision %d, the device %d", kept.Revision, got.OwnRevision)
	}
	if diff := cmp.Diff(map[string]int64{"site=a": 8, "site=b": 5}, concerns(t, store)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"site=a": 7, "site=b": 0}, waits(t, store)); diff != "" {
		t.Error(diff)
	}
	wifi.Remove, wifi.Uses = true, fleet.Uses{}
	_, err = store.ChangeSecret(ctx, wifi)
	is(t, err, fleet.ErrStale)
}

// takesCensus compares the census with the devices.
func takesCensus(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	var want []fleet.Counted
	for i := range 4 {
		device := Device(t)
		device.Labels = fleet.Labels{"n": name("n", i%2)}
		add(t, store, device)
		counted := fleet.Counted{ID: device.ID, Labels: device.Labels, LastSeen: registered.Unix()}
		if i > 0 {
			state := []fleet.State{0, fleet.StateInSync, fleet.StateBehind, fleet.StateDrifted}[i]
			report(t, store, &device, fleet.Report{At: registered.Add(time.Minute), Running: fleet.Running{Revision: int64(i % 2)},
				Verdict: fleet.Verdict{State: state, Revision: 3}})
			counted.Verdict, counted.Mute = fleet.Verdict{State: state, Revision: 3}, i%2 == 0
			if state != fleet.StateInSync {
				counted.Reported = registered.Add(time.Minute).Unix()
			}
		}
		want = append(want, counted)
	}
	ok(t, store.SetStatus(ctx, want[1].ID, fleet.Revoked, nil))
	want[1].Status = fleet.Revoked
	ok(t, store.SetAlone(ctx, want[2].ID, registered.Add(time.Hour), nil))
	want[2].Alone = registered.Add(time.Hour).Unix()
	ok(t, store.Observe(ctx, []fleet.Observation{{ID: want[3].ID, Seen: registered.Add(2 * time.Hour), Twins: registered.Add(time.Hour)}}))
	want[3].LastSeen, want[3].Twins = registered.Add(2*time.Hour).Unix(), registered.Add(time.Hour).Unix()
	want[0].Own, _ = store.SetLabels(ctx, want[0].ID, want[0].Labels, nil, by("ann", 1))
	want[0].Labels = nil
	list, err := store.Census(ctx)
	ok(t, err)
	got, wanted := map[string]fleet.Counted{}, map[string]fleet.Counted{}
	for i := range max(len(list), len(want)) {
		got[list[i].ID.String()], wanted[want[i].ID.String()] = list[i], want[i]
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
}

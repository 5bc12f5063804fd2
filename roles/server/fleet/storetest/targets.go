package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func keepsLayers(t *testing.T, store fleet.Store) {
	for i, config := range []string{`{"a":{"n":9007199254740993}}`, `{"b":null}`, `{}`} {
		layer := set(t, store, change(t, fleet.Everyone, "", config))
		want := fleet.Layer{Name: fleet.Everyone, Config: Config(t, config), Revision: int64(i + 1), Authorship: by("ann", 1)}
		same(t, want, layer)
		got, err := store.Layer(t.Context(), fleet.Everyone)
		ok(t, err)
		same(t, want, got)
	}
	var labels []fleet.Layer
	for i, name := range []fleet.LayerName{"labels/z", "labels/b", "labels/a"} {
		layer := change(t, name, string(name[7:])+"=1", `{"a":1}`)
		layer.Priority = []int64{-5, 10, 10}[i]
		labels = append([]fleet.Layer{set(t, store, layer)}, labels...)
	}
	targets, err := store.Targets(t.Context())
	ok(t, err)
	same(t, []fleet.Layer{labels[2], labels[0], labels[1]}, targets.Labels)
	if targets.Revision != 6 || targets.Everyone.Revision != 3 {
		t.Errorf("%+v", targets)
	}
	again := change(t, fleet.Everyone, "", `{}`)
	again.Authorship = by("bob", 8)
	if kept := set(t, store, again); kept.Revision != 3 || kept.By != "ann" {
		t.Errorf("an equal layer was written: %+v", kept)
	}
	removal := fleet.Change{Layer: fleet.Layer{Name: "labels/b", Authorship: by("bob", 8)}, Remove: true}
	if gone := set(t, store, removal); gone.Revision != 7 {
		t.Errorf("%+v", gone)
	}
	_, err = store.Layer(t.Context(), "labels/b")
	is(t, err, fleet.ErrUnknownLayer)
	_, err = Change(t.Context(), store, removal)
	is(t, err, fleet.ErrUnknownLayer)
	if last, err := store.LastChange(t.Context()); last != 7 || err != nil {
		t.Errorf("the last change is %d, %v", last, err)
	}
	if got := revision(t, store); got != 7 {
		t.Errorf("revision %d", got)
	}
	removal.Name = fleet.Everyone
	set(t, store, removal)
	targets, err = store.Targets(t.Context())
	ok(t, err)
	if targets.Everyone.Revision != 0 || targets.Revision != 8 {
		t.Errorf("%+v", targets)
	}
}

func keepsDeviceLayers(t *testing.T, store fleet.Store) {
	var want []fleet.Layer
	for i := range 5 {
		device := Device(t)
		add(t, store, device)
		if i == 1 {
			continue
		}
		name := fleet.DeviceLayer(device.ID)
		layer := set(t, store, change(t, name, "", fmt.Sprintf(`{"n":%d}`, i)))
		got, err := store.Layer(t.Context(), name)
		ok(t, err)
		same(t, layer, got)
		device.Own, device.OwnRevision = &layer, layer.Revision
		holds(t, store, device)
		if i == 2 {
			gone := set(t, store, fleet.Change{Layer: fleet.Layer{Name: name, Authorship: by("bob", 3)}, Remove: true})
			device.Own, device.OwnRevision = nil, gone.Revision
			holds(t, store, device)
			continue
		}
		want = append(want, layer)
	}
	first, next, err := store.DeviceLayers(t.Context(), "", "", 2)
	ok(t, err)
	rest, end, err := store.DeviceLayers(t.Context(), "", next, 2)
	ok(t, err)
	same(t, want, slices.Concat(first, rest))
	if len(first) != 2 || next == "" || end != "" {
		t.Errorf("%d, then %q, then %q", len(first), next, end)
	}
	_, err = Change(t.Context(), store, change(t, fleet.DeviceLayer(uuid.New()), "", `{}`))
	is(t, err, fleet.ErrUnknownDevice)
	if len(concerns(t, store)) != 0 {
		t.Errorf("layers of devices concern others: %v", concerns(t, store))
	}
}

func changesExpected(t *testing.T, store fleet.Store) {
	expecting := func(revision int64, config string, remove bool) error {
		change := change(t, "labels/a", "a", config)
		change.Match, change.Remove = &revision, remove
		_, err := Change(t.Context(), store, change)
		return err
	}
	stale := func(err error, present int64) {
		t.Helper()
		var stale *fleet.StaleError
		if !errors.As(err, &stale) || stale.Revision != present {
			t.Errorf("got %v, want revision %d", err, present)
		}
	}
	stale(expecting(1, `{"n":1}`, false), 0)
	ok(t, expecting(0, `{"n":1}`, false))
	stale(expecting(0, `{"n":2}`, false), 1)
	stale(expecting(0, `{"n":1}`, false), 1) // also where nothing would change
	ok(t, expecting(1, `{"n":2}`, false))
	stale(expecting(1, `{"n":3}`, true), 2)
	ok(t, expecting(2, `{}`, true))
	stale(expecting(2, `{"n":3}`, false), 0)
	if got := revision(t, store); got != 3 {
		t.Errorf("revision %d", got)
	}
	// Of many changes with the same expected revision, one succeeds.
	const crowd = 8
	var wait sync.WaitGroup
	errs := make([]error, crowd)
	for i := range crowd {
		wait.Go(func() { errs[i] = expecting(0, fmt.Sprintf(`{"n":%d}`, 10+i), false) })
	}
	wait.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
		} else {
			stale(err, 4)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d succeeded", succeeded)
	}
}

// changesAll tests batches with each kind of layer: their changes, their notices, and each reason for which none of a
// batch is made.
func changesAll(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	device := Device(t)
	add(t, store, device)
	own := fleet.DeviceLayer(device.ID)
	_, err := store.ChangeSecret(ctx, secretChange(t, "wifi", `1`)) // revision 1
	ok(t, err)
	set(t, store, change(t, "labels/gone", "b", `{"n":1}`)) // 2
	kept := set(t, store, change(t, "labels/kept", "c", `{"n":1}`))
	events, err := store.Changes(ctx)
	ok(t, err)

	layers, err := store.ChangeAll(ctx, fleet.Batch{Last: new(int64(3)), Changes: []fleet.Change{
		change(t, fleet.Everyone, "", `{"n":2}`),
		change(t, "labels/kept", "c", `{"n":1}`),
		referring(t, own, "", "wifi", 1),
		{Layer: fleet.Layer{Name: "labels/gone", Authorship: by("bob", 2)}, Remove: true, Match: new(int64(2))},
		change(t, "labels/new", "d", `{"n":3}`),
	}})
	ok(t, err)
	var revisions []int64
	for _, layer := range layers {
		revisions = append(revisions, layer.Revision)
	}
	if diff := cmp.Diff([]int64{4, kept.Revision, 5, 6, 7}, revisions); diff != "" {
		t.Fatal(diff)
	}
	entries, err := store.History(ctx, "", 8, 4)
	ok(t, err)
	var names []fleet.LayerName
	for _, entry := range entries {
		names = append(names, entry.Layer)
	}
	if diff := cmp.Diff([]fleet.LayerName{"labels/new", "labels/gone", own, fleet.Everyone}, names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"": 4, "b": 6, "c": 3, "d": 7}, concerns(t, store)); diff != "" {
		t.Error(diff)
	}
	device.Own, device.OwnRevision = &layers[2], 5
	holds(t, store, device)
	told := map[string]bool{}
	for range 4 {
		notice := <-events
		told[fmt.Sprint(notice.Kind, notice.Layer, notice.Revision, len(notice.Devices))] = notice.Own
	}
	if diff := cmp.Diff(map[string]bool{fmt.Sprint(fleet.TargetChanged, "everyone", 4, 0): true,
		fmt.Sprint(fleet.TargetChanged, "labels/gone", 6, 0): true, fmt.Sprint(fleet.TargetChanged, "labels/new", 7, 0): true,
		fmt.Sprint(fleet.DevicesChanged, "", 0, 1): true}, told); diff != "" {
		t.Error(diff)
	}

	again, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{change(t, fleet.Everyone, "", `{"n":2}`),
		change(t, "labels/new", "d", `{"n":3}`)}})
	ok(t, err)
	if again[0].Revision != 4 || again[1].Revision != 7 {
		t.Errorf("%+v", again)
	}
	if nothing, err := store.ChangeAll(ctx, fleet.Batch{}); err != nil || len(nothing) != 0 {
		t.Errorf("%v, %v", nothing, err)
	}

	first := change(t, fleet.Everyone, "", `{"n":9}`)
	stale := change(t, "labels/new", "d", `{"n":9}`)
	stale.Match = new(int64(6))
	for _, test := range []struct {
		last   *int64
		faulty fleet.Change
		kind   error
	}{
		{nil, stale, fleet.ErrStale},
		{nil, fleet.Change{Layer: fleet.Layer{Name: "labels/none"}, Remove: true}, fleet.ErrUnknownLayer},
		{nil, change(t, fleet.DeviceLayer(uuid.New()), "", `{}`), fleet.ErrUnknownDevice},
		{nil, fleet.Change{Layer: fleet.Layer{Name: fleet.DeviceLayer(uuid.New())}, Remove: true}, fleet.ErrUnknownDevice},
		{nil, referring(t, "labels/other", "e", "wifi", 2), fleet.ErrStale},
	} {
		_, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{first, test.faulty, change(t, "labels/kept", "c", `{"n":9}`)}})
		is(t, err, test.kind)
		var faults *fleet.BatchError
		if !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Layer != test.faulty.Name {
			t.Errorf("%v", err)
		}
	}
	_, err = store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{first, stale, {Layer: fleet.Layer{Name: "labels/none"}, Remove: true},
		change(t, fleet.Everyone, "", `{}`)}})
	var faults *fleet.BatchError
	if !errors.As(err, &faults) || len(faults.Faults) != 3 {
		t.Errorf("want a fault of each: %v", err)
	}
	_, err = store.ChangeAll(ctx, fleet.Batch{Last: new(int64(6)), Changes: []fleet.Change{first}})
	var moved *fleet.MovedError
	if is(t, err, fleet.ErrStale); !errors.As(err, &moved) || moved.Revision != 7 {
		t.Errorf("%v", err)
	}
	if got := revision(t, store); got != 7 {
		t.Errorf("a refused batch drew revisions up to %d", got)
	}
	everyone, err := store.Layer(ctx, fleet.Everyone)
	ok(t, err)
	same(t, layers[0], everyone)
}

func remembersSelectors(t *testing.T, store fleet.Store) {
	want := map[string]int64{}
	check := func() {
		t.Helper()
		if diff := cmp.Diff(want, concerns(t, store)); diff != "" {
			t.Error(diff)
		}
	}
	set(t, store, change(t, "labels/a", "b,a", `{"n":1}`))
	want["a,b"] = 1
	check()
	set(t, store, change(t, "labels/a", "c=1", `{"n":1}`)) // those selected before are concerned too
	want["a,b"], want["c=1"] = 2, 2
	check()
	set(t, store, change(t, "labels/other", "a,b", `{"n":1}`))
	want["a,b"] = 3
	check()
	set(t, store, fleet.Change{Layer: fleet.Layer{Name: "labels/a"}, Remove: true})
	want["c=1"] = 4
	check()
	set(t, store, change(t, fleet.Everyone, "", `{"n":1}`))
	want[""] = 5
	check()
	set(t, store, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone}, Remove: true})
	want[""] = 6
	check()
}

func keepsHistory(t *testing.T, store fleet.Store) {
	device := Device(t)
	add(t, store, device)
	set(t, store, change(t, fleet.Everyone, "", `{"n":1}`))
	label := change(t, "labels/a", "a", `{"n":2}`)
	label.Priority = 7
	set(t, store, label)
	again := change(t, fleet.Everyone, "", `{"n":3}`)
	again.Authorship, again.Restores = by("bob", 9), 1
	set(t, store, again)
	set(t, store, change(t, fleet.DeviceLayer(device.ID), "", `{"n":4}`))
	_, err := store.SetLabels(t.Context(), device.ID, nil, fleet.Labels{"a": ""}, by("eve", 10))
	ok(t, err)
	set(t, store, fleet.Change{Layer: fleet.Layer{Name: "labels/a", Authorship: by("bob", 11)}, Remove: true})

	config := func(text string) *fleet.Config {
		if text == "" {
			return nil
		}
		config := Config(t, text)
		return &config
	}
	own := fleet.DeviceLayer(device.ID)
	full := []fleet.Entry{
		{Revision: 6, Authorship: by("bob", 11), Layer: "labels/a", Action: fleet.Removed, Selector: parse(t, "a"), Priority: 7,
			Before: config(`{"n":2}`)},
		{Revision: 5, Authorship: by("eve", 10), Layer: own, Action: fleet.Relabeled, Labels: fleet.Labels{"a": ""}},
		{Revision: 4, Authorship: by("ann", 1), Layer: own, Action: fleet.Set, After: config(`{"n":4}`)},
		{Revision: 3, Authorship: by("bob", 9), Layer: fleet.Everyone, Action: fleet.Set, Restores: 1,
			Before: config(`{"n":1}`), After: config(`{"n":3}`)},
		{Revision: 2, Authorship: by("ann", 1), Layer: "labels/a", Action: fleet.Set, Selector: parse(t, "a"), Priority: 7,
			After: config(`{"n":2}`)},
		{Revision: 1, Authorship: by("ann", 1), Layer: fleet.Everyone, Action: fleet.Set, After: config(`{"n":1}`)},
	}
	var short []fleet.Entry
	for _, entry := range full {
		got, err := store.Entry(t.Context(), entry.Revision)
		ok(t, err)
		same(t, entry, got)
		entry.Before, entry.After = nil, nil
		short = append(short, entry)
	}
	for _, test := range []struct {
		layer fleet.LayerName
		below int64
		limit int
		want  []fleet.Entry
	}{
		{"", 0, 10, short},
		{"", 0, 2, short[:2]},
		{"", 5, 2, short[2:4]},
		{"", 1, 2, nil},
		{fleet.Everyone, 0, 10, []fleet.Entry{short[3], short[5]}},
		{fleet.Everyone, 3, 10, []fleet.Entry{short[5]}},
		{own, 0, 1, []fleet.Entry{short[1]}},
		{"labels/none", 0, 1, nil},
	} {
		got, err := store.History(t.Context(), test.layer, test.below, test.limit)
		ok(t, err)
		same(t, test.want, got)
		var whole []fleet.Entry
		for _, entry := range test.want {
			whole = append(whole, full[6-entry.Revision])
		}
		got, err = store.Entries(t.Context(), test.layer, test.below, test.limit)
		ok(t, err)
		same(t, whole, got)
	}
	for _, test := range []struct {
		layer    fleet.LayerName
		at, want int64 // 0 means none
	}{
		{fleet.Everyone, 6, 3}, {fleet.Everyone, 3, 3}, {fleet.Everyone, 2, 1}, {fleet.Everyone, 0, 0},
		{"labels/a", 5, 2}, {"labels/a", 6, 6}, {own, 3, 0}, {own, 6, 4}, // not that of the labels
	} {
		entry, err := store.LayerAt(t.Context(), test.layer, test.at)
		if test.want == 0 {
			is(t, err, fleet.ErrUnknownEntry)
			continue
		}
		ok(t, err)
		same(t, full[6-test.want], entry)
	}
	for _, revision := range []int64{0, 7, -1} {
		_, err := store.Entry(t.Context(), revision)
		is(t, err, fleet.ErrUnknownEntry)
	}
}

// drawsOnce draws many revisions concurrently. A reader of one must see all before it.
func drawsOnce(t *testing.T, store fleet.Store) {
	const workers, rounds = 6, 15
	device := Device(t)
	add(t, store, device)
	var wait sync.WaitGroup
	drawn := make([][]int64, workers)
	for worker := range workers {
		wait.Go(func() {
			for round := range rounds {
				name := fleet.LayerName("labels/" + fmt.Sprint("w", worker))
				if worker == 0 {
					name = fleet.DeviceLayer(device.ID)
				}
				change := change(t, name, "a", fmt.Sprintf(`{"n":%d}`, round))
				if worker == 0 {
					change.Selector = fleet.Selector{}
				}
				layer, err := Change(t.Context(), store, change)
				if err != nil {
					t.Error(err)
					return
				}
				drawn[worker] = append(drawn[worker], layer.Revision)
				entries, err := store.History(t.Context(), "", layer.Revision+1, 1000)
				if err != nil || int64(len(entries)) != layer.Revision {
					t.Errorf("at revision %d, history has %d entries: %v", layer.Revision, len(entries), err)
				}
			}
		})
	}
	wait.Wait()
	seen := map[int64]bool{}
	for _, list := range drawn {
		last := int64(0)
		for _, revision := range list {
			if revision <= last || seen[revision] {
				t.Errorf("%v", list)
			}
			last, seen[revision] = revision, true
		}
	}
	if got := revision(t, store); got != workers*rounds || len(seen) != workers*rounds {
		t.Errorf("revision %d, %d drawn", got, len(seen))
	}
}

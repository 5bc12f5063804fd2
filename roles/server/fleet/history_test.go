package fleet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/fleet/seal"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func jsonOf(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// texts words differences.
func texts(t testing.TB, list []fleet.Difference) (words []string) {
	for _, d := range list {
		words = append(words, fmt.Sprintf("%s %s %s -> %s", d.Path, d.Kind, jsonOf(t, d.Before), jsonOf(t, d.After)))
	}
	return words
}

func TestDiffAndRestore(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"a":{"b":1,"c":[1]},"gone":{"x":1},"same":1.0}`)
	w.set("labels/l", "site", `{"a":1}`)
	w.set(fleet.Everyone, "", `{"a":{"b":2,"c":[1,2],"d.e":null},"new":{"y":{}},"same":1}`)
	if _, err := w.SetLabels(t.Context(), id, map[string]*string{"site": new("a")}, "bob", nil); err != nil {
		t.Fatal(err)
	}
	diff := func(revision int64, against *int64, wantSince int64, want ...string) {
		t.Helper()
		_, since, list, err := w.Diff(t.Context(), revision, against)
		if err != nil || since != wantSince {
			t.Errorf("against %d, %v", since, err)
		}
		if diff := cmp.Diff(want, texts(t, list)); diff != "" {
			t.Error(diff)
		}
	}
	changed := []string{`a.b changed 1 -> 2`, `a.c changed [1] -> [1,2]`, `a."d.e" added null -> null`,
		`gone.x removed 1 -> null`, `new.y added null -> {}`}
	diff(3, nil, 1, changed...)
	diff(3, new(int64(2)), 1, changed...)
	diff(3, new(int64(3)), 3)
	diff(1, new(int64(3)), 3, `a.b changed 2 -> 1`, `a.c changed [1,2] -> [1]`, `a."d.e" removed null -> null`,
		`gone.x added null -> 1`, `new.y removed {} -> null`)
	diff(2, nil, 0, `a added null -> 1`)
	if _, _, _, err := w.Diff(t.Context(), 4, nil); !errors.Is(err, fleet.ErrNoTarget) {
		t.Error(err)
	}
	if _, _, _, err := w.Diff(t.Context(), 9, nil); !errors.Is(err, fleet.ErrUnknownEntry) {
		t.Error(err)
	}

	restore := func(revision, want int64) {
		t.Helper()
		got, err := w.Restore(t.Context(), revision, "bob", nil)
		if err != nil || got != want {
			t.Errorf("restored %d as %d, %v; want %d", revision, got, err, want)
		}
	}
	restore(1, 5)
	restore(1, 5) // it is so already
	layer, err := w.Layer(t.Context(), fleet.Everyone)
	if err != nil || layer.Config.String() != `{"a":{"b":1,"c":[1]},"gone":{"x":1},"same":1.0}` || layer.By != "bob" {
		t.Errorf("%+v %v", layer, err)
	}
	entry, err := w.Entry(t.Context(), 5)
	if err != nil || entry.Restores != 1 || entry.By != "bob" {
		t.Errorf("%+v %v", entry, err)
	}
	removal := fleet.Change{Layer: fleet.Layer{Name: "labels/l"}, Remove: true}
	if _, err := w.Set(t.Context(), removal); err != nil {
		t.Fatal(err)
	}
	restore(6, 6)
	restore(2, 7)
	if layer, err := w.Layer(t.Context(), "labels/l"); err != nil || layer.Selector.String() != "site" {
		t.Errorf("%+v %v", layer, err)
	}
	restore(6, 8)
	if _, err := w.Layer(t.Context(), "labels/l"); !errors.Is(err, fleet.ErrUnknownLayer) {
		t.Error(err)
	}
	if _, err := w.SetLabels(t.Context(), id, map[string]*string{"site": nil}, "bob", nil); err != nil {
		t.Fatal(err)
	}
	restore(4, 10)
	if view, err := w.Fleet.Device(t.Context(), id); err != nil || view.Labels["site"] != "a" {
		t.Errorf("%v %v", view.Labels, err)
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t, schema)
	berlin, paris := w.device(fleet.Labels{"site": "berlin"}), w.device(fleet.Labels{"site": "paris"})
	rate := func(n int) string { return fmt.Sprintf(`{"control-telemetry":{"sample-rate":%d}}`, n) }
	w.set(fleet.DeviceLayer(paris), "", rate(9))
	dry := func(change fleet.Change, want ...string) {
		t.Helper()
		before := jsonOf(t, lastRevision(t, w))
		preview, err := w.DryRun(t.Context(), change, nil, 1)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, device := range preview.Changes {
			for _, text := range texts(t, device.Changes) {
				got = append(got, fmt.Sprint(preview.Devices, " ", device.ID == berlin, " ", text))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if before != jsonOf(t, lastRevision(t, w)) {
			t.Error("it has changed something")
		}
	}
	const path = " control-telemetry.sample-rate "
	dry(w.change(fleet.Everyone, "", rate(4)), "1 true"+path+"added null -> 4") // paris has a layer above it
	dry(w.change("labels/p", "site=paris", rate(4)))
	w.set(fleet.Everyone, "", rate(4))
	dry(w.change("labels/b", "site", rate(5)), "1 true"+path+"changed 4 -> 5")
	dry(fleet.Change{Layer: fleet.Layer{Name: fleet.DeviceLayer(paris)}, Remove: true}, "1 false"+path+"changed 9 -> 4")
	dry(fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone}, Remove: true}, "1 true"+path+"removed 4 -> null")
	for want, change := range map[error]fleet.Change{
		fleet.ErrUnknownLayer: {Layer: fleet.Layer{Name: "labels/none"}, Remove: true},
		fleet.ErrTarget:       w.change(fleet.Everyone, "", rate(-4)),
		fleet.ErrStale:        {Layer: fleet.Layer{Name: fleet.Everyone}, Match: new(int64(99))},
	} {
		if _, err := w.DryRun(t.Context(), change, nil, 1); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// TestDevices pages through filters.
func TestDevices(t *testing.T) {
	w := newWorld(t)
	var paris []uuid.UUID
	var want []string
	for i := range 30 {
		id := w.device(fleet.Labels{"site": []string{"berlin", "paris", "rome"}[i%3]})
		if i%3 == 1 {
			paris = append(paris, id)
			want = append(want, id.String())
		}
	}
	w.clock.Pass(4 * time.Minute)
	for _, id := range paris {
		w.polls(id, `{}`, "")
	}
	selector, err := fleet.ParseSelector("site=paris")
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for name, filter := range map[string]fleet.Filter{
		"selector": {Selector: selector},
		"state":    {State: fleet.StateInSync},
		"silent":   {Silent: &no},
		"all":      {Selector: selector, State: fleet.StateInSync, Silent: &no},
		"match":    {Match: func(device fleet.Device) bool { return device.Labels["site"] == "paris" }},
	} {
		for _, limit := range []int{1, 4, 10, 100} {
			var got []string
			for after, pages := "", 0; pages == 0 || after != ""; pages++ {
				list, next, err := w.Devices(t.Context(), filter, after, limit)
				if err != nil || len(list) > limit || pages > 40 {
					t.Fatal(len(list), err)
				}
				for _, view := range list {
					got = append(got, view.ID.String())
				}
				after = next
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %d a page: %s", name, limit, diff)
			}
		}
	}
	list, _, err := w.Devices(t.Context(), fleet.Filter{Silent: &yes}, "", 100)
	if err != nil || len(list) != 20 {
		t.Error(len(list), err)
	}
	summary, err := w.Summary(t.Context())
	if err != nil || summary.Devices != 30 || summary.Silent != 20 || summary.States[fleet.StateInSync] != 10 ||
		summary.States[fleet.StateNew] != 20 || len(summary.States) != 8 {
		t.Errorf("%+v %v", summary, err)
	}
}

// TestSummaryAfterActs counts anew after each act of an operator, however short the time since the last count.
func TestSummaryAfterActs(t *testing.T) {
	w := newWorld(t, sealed(seal.Random()), func(options *fleet.Options) { options.Schema = []byte(manySecrets) })
	id := w.device(fleet.Labels{"site": "berlin"})
	site := "paris"
	var begun *fleet.Release
	for _, act := range []struct {
		name string
		do   func() error
	}{
		{"nothing", func() error { return nil }},
		{"a layer", func() error { w.set("everyone", "", `{"v":{"plain":1}}`); return nil }},
		{"a device's layer", func() error { w.set(fleet.DeviceLayer(id), "", `{"v":{"plain":2}}`); return nil }},
		{"labels", func() error {
			_, err := w.SetLabels(t.Context(), id, map[string]*string{"site": &site}, "ann", nil)
			return err
		}},
		{"a name", func() error { _, err := w.SetName(t.Context(), id, "lamp", "ann"); return err }},
		{"a secret", func() error { _, err := w.secret("vpn", `"hunter2"`); return err }},
		{"a release", func() error {
			begun = w.begins("everyone", "", `{"v":{"plain":3}}`, `{"stages":[{"devices":1}]}`)
			return nil
		}},
		{"a halt", func() error {
			_, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysHalt, By: "ann"})
			return err
		}},
		{"a removal", func() error { return w.Remove(t.Context(), id, "ann") }},
	} {
		if err := act.do(); err != nil {
			t.Fatal(act.name, err)
		}
		last, err := w.LastChange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		summary, err := w.Summary(t.Context())
		if count, err2 := w.Count(t.Context()); err != nil || err2 != nil || summary.Revision != last || summary.Devices != count {
			t.Errorf("after %s: revision %d and %d devices, want %d and %d (%v, %v)", act.name, summary.Revision, summary.Devices, last, count, err, err2)
		}
	}
}

// TestSummaryFollowsTargets derives states again when targets change, without any poll.
func TestSummaryFollowsTargets(t *testing.T) {
	w := newWorld(t)
	berlin, paris := w.device(fleet.Labels{"site": "berlin"}), w.device(fleet.Labels{"site": "paris"})
	w.polls(berlin, `{}`, "")
	w.polls(paris, `{}`, "")
	w.set("labels/b", "site=berlin", `{"n":1}`)
	view := func(state fleet.State) int {
		list, _, err := w.Devices(t.Context(), fleet.Filter{State: state}, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if view(fleet.StateInSync) != 1 || view(fleet.StateBehind) != 1 {
		t.Error(view(fleet.StateInSync), view(fleet.StateBehind))
	}
	counted, err := w.CountNow(t.Context())
	if err != nil || counted.States[fleet.StateInSync] != 1 || counted.States[fleet.StateBehind] != 1 {
		t.Errorf("%+v %v", counted, err)
	}
	w.set(fleet.DeviceLayer(paris), "", `{"n":1}`)
	counted, err = w.CountNow(t.Context())
	if err != nil || counted.States[fleet.StateBehind] != 2 {
		t.Errorf("%+v %v", counted, err)
	}
	w.clock.Pass(time.Hour)
	if counted, err = w.CountNow(t.Context()); err != nil || counted.Silent != 2 {
		t.Errorf("%+v %v", counted, err)
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"site=berlin,stage!=test", "a, !b ,c=", "a=b,a=b", ",", "!", "a!b", " = ", "a/b.c_d-e=1"} {
		f.Add(seed, "a", "b")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		selector, err := fleet.ParseSelector(text)
		if err != nil {
			return
		}
		again, err := fleet.ParseSelector(selector.String())
		if err != nil || again.String() != selector.String() {
			t.Errorf("%q became %q: %v", selector, again, err)
		}
		for _, labels := range []fleet.Labels{nil, {name: value}, {"a": "b", name: ""}} {
			if selector.Matches(labels) != again.Matches(labels) {
				t.Errorf("%q and %q differ over %v", text, again, labels)
			}
		}
	})
}

// FuzzCompose compares the composition with what applying one layer after the other comes to.
func FuzzCompose(f *testing.F) {
	f.Add(`{"a":{"b":1,"c":null}}`, `{"a":{"b":null,"d":[1]},"e":{}}`, `{"a":{"b":7},"x":1}`)
	f.Add(`{"a":1}`, `{"a":{"b":1}}`, `{"a":{"c":1}}`)
	f.Add(`{}`, `{"a":null}`, `{"a":[{}]}`)
	f.Fuzz(func(t *testing.T, lower, upper, shown string) {
		below, err1 := fleet.ParseConfig([]byte(lower))
		above, err2 := fleet.ParseConfig([]byte(upper))
		device, err3 := fleet.ParseConfig([]byte(shown))
		if errors.Join(err1, err2, err3) != nil {
			t.Skip()
		}
		composed, err := fleet.Compose(below, above)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := fleet.Compose(composed, above); err != nil || !same(t, again, composed) {
			t.Errorf("%s over %s is %s, and once more %s: %v", above, below, composed, again, err)
		}
		if alone, err := fleet.Compose(above); err != nil || !alone.Equal(above) {
			t.Errorf("%s alone is %s: %v", above, alone, err)
		}
		// What the upper layer wants has the last word.
		after := merge(tree(t, composed.String()), tree(t, device.String())).(map[string]any)
		if !fleet.InStep(tree(t, above.String()), after) {
			t.Errorf("%s composed to %s makes %v of %s", above, composed, after, device)
		}
	})
}

func same(t *testing.T, a, b fleet.Config) bool {
	t.Helper()
	return a.Equal(b) || fleet.InStep(tree(t, a.String()), merge(tree(t, b.String()), map[string]any{}).(map[string]any))
}

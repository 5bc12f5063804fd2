package fleet_test

import (
	"errors"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// begins releases a layer in stages.
func (w *world) begins(name fleet.LayerName, selector, config, stages string) *fleet.Release {
	w.t.Helper()
	plan, err := w.ReadPlan([]byte(stages))
	if err != nil {
		w.t.Fatal(err)
	}
	_, begun, err := w.StartRelease(w.t.Context(), fleet.Batch{Changes: []fleet.Change{w.change(name, selector, config)}}, plan, "ann")
	if err != nil || begun == nil {
		w.t.Fatal(begun, err)
	}
	return begun
}

// looks looks at the active release, and compares its phase.
func (w *world) looks(of *fleet.Release, want release.Phase) fleet.ReleaseView {
	w.t.Helper()
	if err := w.MoveRelease(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	view, err := w.ShowRelease(w.t.Context(), of.ID)
	if err != nil || view.Progress.Phase != want {
		w.t.Fatalf("%s: %s, %v; want %s: %+v", w.now, view.Progress.Phase, err, want, view.Outcome)
	}
	return view
}

// obeys has a device poll, apply what it is offered, show a configuration, and report that.
func (w *world) obeys(id uuid.UUID, sequence int64, shows string) {
	w.t.Helper()
	answer, err := w.Poll(w.t.Context(), id, fleet.Poll{Report: true, Sequence: sequence})
	if err != nil || answer.Offer == nil {
		w.t.Fatal(answer, err)
	}
	_, err = w.Poll(w.t.Context(), id, fleet.Poll{Report: true, Sequence: sequence + 1, Config: parse(w.t, shows),
		Running:   fleet.Running{Revision: answer.Offer.Revision, Hash: answer.Offer.Hash},
		Attempted: fleet.Attempted{Revision: answer.Offer.Revision, Outcome: fleet.Applied}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestWordsInScope: who may begin a release may halt and undo it, within a scope too.
func TestWordsInScope(t *testing.T) {
	w := newWorld(t)
	berlin, munich := fleet.Scope{"site": "berlin"}, fleet.Scope{"site": "munich"}
	device := w.device(fleet.Labels{"site": "berlin"})
	for _, test := range []struct {
		layer    fleet.LayerName
		selector string
		scope    fleet.Scope
		want     error
	}{
		{"labels/berlin", "site=berlin", berlin, nil},
		{"labels/berlin", "site=berlin", munich, fleet.ErrScope},
		{fleet.DeviceLayer(device), "", berlin, nil},
		{fleet.DeviceLayer(device), "", munich, fleet.ErrScope},
		{fleet.Everyone, "", berlin, fleet.ErrScope},
		{fleet.Everyone, "", nil, nil},
	} {
		begun := w.begins(test.layer, test.selector, `{"v":{"`+uuid.NewString()+`":1}}`, `{"stages":[{"devices":1}],"approve":[1]}`)
		for _, event := range []release.Event{release.SaysHalt, release.SaysUndo} {
			word := fleet.Word{Release: begun.ID, Event: event, By: "bert", Within: test.scope}
			if err := w.Permits(t.Context(), word); !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%s of %s in %v: %v", event, test.layer, test.scope, err)
			}
			if _, err := w.Say(t.Context(), word); !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%s of %s in %v: %v", event, test.layer, test.scope, err)
			}
		}
		if w.Active() != nil {
			if _, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysUndo}); err != nil {
				t.Fatal(err)
			}
		}
	}
	begun := w.begins(fleet.Everyone, "", `{"v":{"x":1}}`, `{"stages":[{"devices":1}],"approve":[1]}`)
	if _, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysGo, Version: begun.Version + 1}); !errors.Is(err, fleet.ErrNoMove) {
		t.Error(err)
	}
	if _, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysGo, Version: begun.Version}); err != nil {
		t.Error(err)
	}
}

// TestDiesOfIt: a device that takes a change and says nothing more is noticed one and a half intervals later, within three intervals of
// the beginning however late it polled.
func TestDiesOfIt(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"v":{"x":1}}`)
	w.obeys(id, 1, `{"v":{"x":1}}`)
	begun := w.begins(fleet.Everyone, "", `{"v":{"x":2}}`, `{"stages":[{"percent":100}],"on-stop":"undo"}`)
	w.now = w.now.Add(time.Minute)
	w.looks(begun, release.Rolling)
	if answer, err := w.Poll(t.Context(), id, fleet.Poll{Report: true, Sequence: 3}); err != nil || answer.Offer == nil {
		t.Fatal(answer, err)
	}
	w.now = w.now.Add(90 * time.Second)
	w.looks(begun, release.Rolling)
	w.now = w.now.Add(time.Second)
	view := w.looks(begun, release.Undone)
	if took := w.now.Sub(begun.At); took > 160*time.Second {
		t.Errorf("it took %s", took)
	}
	if causes := view.Outcome.Causes; len(causes) != 1 || causes[0].Outcome != "silent" || causes[0].Some[0] != id {
		t.Errorf("%+v", causes)
	}
}

// TestDriftedIsNotSilent: a device that applies a change and shows other values speaks; the change does not come true on it.
func TestDriftedIsNotSilent(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	begun := w.begins(fleet.Everyone, "", `{"v":{"x":1}}`, `{"stages":[{"percent":100}]}`)
	w.looks(begun, release.Rolling)
	w.obeys(id, 1, `{"v":{"x":7}}`)
	w.now = w.now.Add(time.Minute)
	if view := w.looks(begun, release.Rolling); view.Outcome.Total() != (release.Counts{Waiting: 1}) {
		t.Errorf("%+v", view.Outcome)
	}
	w.now = w.now.Add(time.Minute)
	view := w.looks(begun, release.Halted)
	if causes := view.Outcome.Causes; len(causes) != 1 || causes[0].Outcome != "drifted" || causes[0].Path != "v.x" || view.Outcome.Total().Failing != 1 {
		t.Errorf("%+v", view.Outcome)
	}
}

// TestNobodyListened: while no server runs, no device becomes silent.
func TestNobodyListened(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	begun := w.begins(fleet.Everyone, "", `{"v":{"x":1}}`, `{"stages":[{"percent":100,"hold":"1h"}]}`)
	w.looks(begun, release.Rolling)
	w.obeys(id, 1, `{"v":{"x":1}}`)
	w.looks(begun, release.Holding)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(20 * time.Minute)
	rules, err := fleet.Open(t.Context(), w.store, fleet.Options{Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	w.Fleet = rules
	w.looks(begun, release.Holding)
	w.now = w.now.Add(3 * time.Minute)
	w.looks(begun, release.Holding)
	w.now = w.now.Add(2 * time.Second)
	w.looks(begun, release.Halted) // now it has had the time to poll
}

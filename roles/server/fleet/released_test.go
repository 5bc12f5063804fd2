package fleet_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
		w.t.Fatalf("%s: %s, %v; want %s: %+v", w.clock.Now(), view.Progress.Phase, err, want, view.Outcome)
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
	w.clock.Pass(time.Minute)
	w.looks(begun, release.Rolling)
	if answer, err := w.Poll(t.Context(), id, fleet.Poll{Report: true, Sequence: 3}); err != nil || answer.Offer == nil {
		t.Fatal(answer, err)
	}
	w.clock.Pass(90 * time.Second)
	w.looks(begun, release.Rolling)
	w.clock.Pass(time.Second)
	view := w.looks(begun, release.Undone)
	if took := w.clock.Now().Sub(begun.At); took > 160*time.Second {
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
	w.clock.Pass(time.Minute)
	if view := w.looks(begun, release.Rolling); view.Outcome.Total() != (release.Counts{Waiting: 1}) {
		t.Errorf("%+v", view.Outcome)
	}
	w.clock.Pass(time.Minute)
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
	w.clock.Pass(20 * time.Minute)
	rules, err := fleet.Open(t.Context(), w.store, fleet.Options{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.Fleet = rules
	w.looks(begun, release.Holding)
	w.clock.Pass(3 * time.Minute)
	w.looks(begun, release.Holding)
	w.clock.Pass(2 * time.Second)
	w.looks(begun, release.Halted) // now it has had the time to poll
}

// TestSpeaksAndIsNotInStep: a device that has the change and is not in step with it in time holds no release, though each of its
// reports is a new one.
func TestSpeaksAndIsNotInStep(t *testing.T) {
	for outcome, runs := range map[string]bool{"drifted": true, "silent": false} {
		t.Run(outcome, func(t *testing.T) {
			w := newWorld(t)
			id := w.device(nil)
			begun := w.begins(fleet.Everyone, "", `{"v":{"x":1}}`, `{"stages":[{"devices":1},{"percent":100}]}`)
			sequence := int64(0)
			poll := func(running fleet.Running) fleet.Answer {
				sequence++
				answer, err := w.Poll(t.Context(), id, fleet.Poll{Report: true, Sequence: sequence, Running: running,
					Config: parse(t, fmt.Sprintf(`{"v":{"x":7,"y":%d}}`, sequence))})
				if err != nil || answer.Offer == nil {
					t.Fatal(answer, err)
				}
				return answer
			}
			offer := poll(fleet.Running{Revision: 0, Hash: "other"}).Offer
			var running fleet.Running
			if runs {
				running = fleet.Running{Revision: offer.Revision, Hash: offer.Hash}
			}
			passes := func(want release.Phase, counts release.Counts) fleet.ReleaseView {
				t.Helper()
				for range 6 {
					poll(running)
					w.looks(begun, release.Rolling)
					w.clock.Pass(15 * time.Second)
				}
				w.clock.Pass(time.Second)
				poll(running)
				view := w.looks(begun, want)
				if got := view.Outcome.Total(); got != counts {
					t.Fatalf("%+v", got)
				}
				return view
			}
			counts := release.Counts{Failing: 1}
			if !runs {
				counts = release.Counts{Silent: 1}
			}
			if causes := passes(release.Halted, counts).Outcome.Causes; len(causes) != 1 || causes[0].Outcome != outcome {
				t.Fatalf("%+v", causes)
			}
			if _, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysGo}); err != nil {
				t.Fatal(err)
			}
			passes(release.Done, counts) // a person has seen it
		})
	}
}

// TestOverridden: devices whose other layers override the change are in no stage, and a stage of such devices alone is refused.
func TestOverridden(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		w.device(fleet.Labels{"ring": []string{"canary", "rest"}[i%2], "n": fmt.Sprint(i)})
	}
	w.set(fleet.Everyone, "", `{"v":{"x":1}}`)
	w.set("labels/canary", "ring=canary", `{"v":{"x":9}}`)
	change := w.change(fleet.Everyone, "", `{"v":{"x":2}}`)
	for stages, want := range map[string][]int{`{"percent":50},{"percent":100}`: {3, 3}, `{"selector":"ring=canary"},{"percent":100}`: nil} {
		plan, err := w.ReadPlan([]byte(`{"stages":[` + stages + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		var wrong *release.Error
		planned, err := w.Plan(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, &plan, 1)
		if want == nil && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), "of those that the change concerns (6) none matches ring=canary")) ||
			want != nil && (err != nil || !slices.Equal(planned.Stages, want) || planned.Devices != 6) {
			t.Errorf("%s: %+v, %v; want %v", stages, planned.Stages, err, want)
		}
	}
}

// TestChoosesNone: a stage whose selector matches no device that the change concerns is refused before anything happens.
func TestChoosesNone(t *testing.T) {
	w := newWorld(t)
	w.device(fleet.Labels{"site": "canary"})
	w.device(fleet.Labels{"site": "berlin", "ring": "canary"})
	w.set(fleet.Everyone, "", `{"v":{"x":1}}`)
	everyone, berlin := w.change(fleet.Everyone, "", `{"v":{"x":2}}`), w.change("labels/berlin", "site=berlin", `{"v":{"x":3}}`)
	same, nobody := w.change(fleet.Everyone, "", `{"v":{"x":1}}`), w.change("labels/none", "site=none", `{"v":{"x":3}}`)
	for _, test := range []struct {
		changes []fleet.Change
		stages  string
		want    string // "" for no error
		sizes   []int
	}{
		{[]fleet.Change{everyone}, `{"selector":"stie=canary"}`, "stages.1.selector chooses no device: of those that the change concerns (2) none matches stie=canary", nil},
		{[]fleet.Change{everyone}, `{"devices":1},{"selector":"site=none"}`, "stages.2.selector chooses no device", nil},
		{[]fleet.Change{berlin}, `{"selector":"site=canary"}`, "stages.1.selector chooses no device", nil},
		{[]fleet.Change{same, berlin}, `{"selector":"site=canary"}`, "stages.1.selector chooses no device", nil},
		{[]fleet.Change{nobody}, `{"selector":"ring=canary"}`, "stages.1.selector chooses no device", nil},
		{[]fleet.Change{same}, `{"selector":"stie=canary"}`, "", []int{0, 0}}, // nothing begins
		{[]fleet.Change{same, berlin}, `{"selector":"ring=canary"}`, "", []int{1, 0}},
		{[]fleet.Change{everyone}, `{"percent":1},{"selector":"site"}`, "", []int{1, 1, 0}},
	} {
		plan, err := w.ReadPlan([]byte(`{"stages":[` + test.stages + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		before, err := w.store.Targets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		batch := fleet.Batch{Changes: test.changes}
		planned, err := w.Plan(t.Context(), batch, &plan, 1)
		refused := func(err error) bool {
			var wrong *release.Error
			return errors.As(err, &wrong) && strings.HasPrefix(wrong.Error(), "release."+test.want)
		}
		if test.want == "" && (err != nil || !slices.Equal(planned.Stages, test.sizes)) || test.want != "" && !refused(err) {
			t.Errorf("%s: %v, %v", test.stages, planned.Stages, err)
		}
		if len(test.changes) == 1 {
			if _, err := w.DryRun(t.Context(), test.changes[0], &plan, 1); test.want == "" && err != nil || test.want != "" && !refused(err) {
				t.Errorf("%s: %v", test.stages, err)
			}
		}
		_, begun, err := w.StartRelease(t.Context(), batch, plan, "ann")
		if test.want == "" && err != nil || test.want != "" && !refused(err) {
			t.Errorf("%s: %v", test.stages, err)
		}
		if after, err := w.store.Targets(t.Context()); err != nil || test.want != "" && after.Revision != before.Revision {
			t.Errorf("%s has changed something, %v", test.stages, err)
		}
		if begun != nil {
			if _, err := w.Say(t.Context(), fleet.Word{Release: begun.ID, Event: release.SaysUndo}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPlanAmidRelease: a plan that the active release refuses says so, and is as if the release were done. A change is refused.
func TestPlanAmidRelease(t *testing.T) {
	w := newWorld(t)
	w.device(nil)
	w.set(fleet.Everyone, "", `{"v":{"x":1}}`)
	begun := w.begins(fleet.Everyone, "", `{"v":{"x":2}}`, `{"stages":[{"devices":1}],"approve":[1]}`)
	staged, err := w.ReadPlan([]byte(`{"stages":[{"devices":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		layer    fleet.LayerName
		stages   *release.Plan
		conflict string
		before   any // of x
	}{
		{fleet.Everyone, nil, fmt.Sprintf("release %d changes the layer everyone at present", begun.ID), 2},
		{"labels/all", nil, "", 1},
		{"labels/all", &staged, fmt.Sprintf("release %d is active", begun.ID), 2},
	} {
		change := w.change(test.layer, map[bool]string{true: "!none"}[test.layer.IsLabels()], `{"v":{"x":3}}`)
		plan, err := w.Plan(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, test.stages, 1)
		if err != nil || len(plan.Groups) != 1 || len(plan.Groups[0].Changes) != 1 || fmt.Sprint(plan.Groups[0].Changes[0].Before) != fmt.Sprint(test.before) {
			t.Errorf("%s: %v, %+v", test.layer, err, plan)
			continue
		}
		if (plan.Conflict == nil) != (test.conflict == "") || plan.Conflict != nil && !strings.HasPrefix(plan.Conflict.Text, test.conflict) {
			t.Errorf("%s: %v", test.layer, plan.Conflict)
		}
		if _, err := w.DryRun(t.Context(), change, test.stages, 1); errors.Is(err, fleet.ErrReleasing) != (test.conflict != "") {
			t.Errorf("%s: %v", test.layer, err)
		}
	}
}

package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// The limits for the reasons of devices.
const (
	mostCauses   = 10
	mostExamined = 500
	mostSome     = 5
)

// A tally has the state of a release's devices.
type tally struct {
	total   release.Counts
	stages  []release.Counts // of the stages that have begun
	devices []tallied
	failing []uuid.UUID
	silent  []uuid.UUID
	waiting []uuid.UUID // the first few
	absent  []uuid.UUID // the first few
	due     int64       // when the next device will have been silent for too long, in seconds since 1970; 0 for none
}

// A tallied is a device whose target the release changes.
type tallied struct {
	release.Device
	seen  bool // seen lately
	stage int
}

// tally counts the devices whose targets the active release changes.
func (f *Fleet) tally(targets *snapshot, devices []Counted, now time.Time) *tally {
	gate := targets.gate
	t := &tally{stages: make([]release.Counts, len(gate.release.Progress.Admit))}
	lost := int64(silentAfter*f.options.PollInterval/time.Second) + 1
	within := int64(time.Duration(gate.release.Plan.StopWhen.Within) / time.Second)
	listens := f.mover.listens.Load()
	at := now.Unix()
	for _, device := range devices {
		if device.Status != Active || !targets.changes(device.ID, device.Labels) {
			continue
		}
		one := gate.device(device.ID, device.Labels)
		stage := gate.release.Progress.Admit.Stage(one, gate.matches(device.Labels))
		t.devices = append(t.devices, tallied{one, device.LastSeen >= at-lost, stage})
		if stage == 0 {
			continue
		}
		began := gate.release.Progress.Admit[stage-1].At.Unix()
		since := max(began, Seconds(gate.release.Progress.Resumed), listens)
		counts := &t.stages[stage-1]
		desired := targets.wanted(device.Labels, device.Own, device.ID, false)
		state, _ := derive(device.Status, device.Verdict, desired)
		tried := device.Verdict.State != StateUnknown && device.Verdict.Revision >= desired.Since
		if !tried || state == StateInSync {
			f.mover.tries.end(device.ID)
		}
		due := int64(0) // the end of the device's time
		switch {
		case !tried && device.LastSeen < began-lost:
			if counts.Absent++; len(t.absent) < mostSome {
				t.absent = append(t.absent, device.ID)
			}
			continue
		case tried && (state == StateRefused || state == StateFailed):
			counts.Failing++
			t.failing = append(t.failing, device.ID)
			continue
		case tried && state == StateInSync:
			due = max(device.LastSeen, listens) + max(within, lost)
		case tried: // it was offered the change, or has drifted
			began := f.mover.tries.since(gate.release.ID, device.ID, desired.Since, device.Reported)
			due = max(began, since) + within
		default:
			due = max(device.LastSeen, since) + within
		}
		switch late := at > due; {
		case late && tried && state == StateDrifted: // it polls, and shows other values than those of the release
			counts.Failing++
			t.failing = append(t.failing, device.ID)
			continue
		case late:
			counts.Silent++
			t.silent = append(t.silent, device.ID)
			continue
		case state == StateInSync:
			counts.InSync++
		default:
			if counts.Waiting++; len(t.waiting) < mostSome {
				t.waiting = append(t.waiting, device.ID)
			}
		}
		if t.due == 0 || due+1 < t.due {
			t.due = due + 1
		}
	}
	t.total = Outcomes{Stages: t.stages}.Total()
	return t
}

// admission returns the admission of a stage that begins. It marks the admitted devices.
func (t *tally) admission(gate *gate, number int, now time.Time) release.Admission {
	stage := gate.release.Plan.Stages[number-1]
	candidates := make([]release.Candidate, len(t.devices))
	for i, device := range t.devices {
		candidates[i] = release.Candidate{Device: device.Device, Seen: device.seen, Admitted: device.stage > 0}
	}
	admission := stage.Admission(candidates)
	admission.At = now
	for i, device := range t.devices {
		if device.stage == 0 && admission.Admits(device.Device, gate.matches(device.Labels)) {
			t.devices[i].stage = number
		}
	}
	return admission
}

// choosesNone returns a *release.Error for the first stage whose selector chooses no device; nil if there is none.
// Because of a typing error in a selector, all devices of the next stage would otherwise get the change at once.
func (t *tally) choosesNone(gate *gate) error {
	for i, stage := range gate.release.Plan.Stages {
		chosen := func(device tallied) bool { return gate.matches(device.Labels)(stage.Selector) }
		if stage.Selector == "" || slices.ContainsFunc(t.devices, chosen) {
			continue
		}
		return &release.Error{Field: fmt.Sprintf("stages.%d.selector", i+1), Text: fmt.Sprintf("chooses no device: of those that the "+
			"change concerns (%d) none matches %s; correct the selector, label devices, or leave this stage out", len(t.devices), stage.Selector)}
	}
	return nil
}

// sizes returns how many devices each stage has, or would have if it began now.
func (t *tally) sizes(gate *gate) []int {
	devices := slices.Clone(t.devices)
	plan := &tally{devices: devices}
	for number := len(gate.release.Progress.Admit) + 1; number <= len(gate.release.Plan.Stages); number++ {
		plan.admission(gate, number, time.Time{})
	}
	sizes := make([]int, len(gate.release.Plan.Stages))
	for _, device := range devices {
		if device.stage > 0 {
			sizes[device.stage-1]++
		}
	}
	for i, counts := range t.stages {
		sizes[i] = counts.All()
	}
	return sizes
}

// heldBy returns the devices that delay the release, or would delay it if it continued.
func (t *tally) heldBy() (list []Cause) {
	for _, one := range []Cause{{Outcome: "waiting", Devices: t.total.Waiting, Some: t.waiting}, {Outcome: "absent", Devices: t.total.Absent, Some: t.absent}} {
		if one.Devices > 0 {
			list = append(list, one)
		}
	}
	return list
}

// causes groups the failing and silent devices by reason, the most frequent first.
func (f *Fleet) causes(ctx context.Context, counted *tally) ([]Cause, error) {
	type key struct{ outcome, path, reason string }
	of := map[key]*Cause{}
	add := func(k key, id uuid.UUID, devices int) {
		if of[k] == nil {
			of[k] = &Cause{Outcome: k.outcome, Path: k.path, Reason: k.reason}
		}
		of[k].Devices += devices
		if len(of[k].Some) < mostSome {
			of[k].Some = append(of[k].Some, id)
		}
	}
	examined := counted.failing[:min(mostExamined, len(counted.failing))]
	devices, err := f.store.DevicesByID(ctx, examined)
	if err != nil {
		return nil, err
	}
	known := map[uuid.UUID]Device{}
	for _, device := range devices {
		known[device.ID] = device
	}
	for _, id := range examined {
		device, there := known[id]
		if !there {
			continue
		}
		view, err := f.view(ctx, device)
		if err != nil {
			return nil, err
		}
		switch {
		case view.State == StateDrifted:
			paths, err := view.Differs()
			if err != nil {
				return nil, err
			}
			add(key{"drifted", strings.Join(paths[:min(1, len(paths))], ""), "it runs the change, and shows another value"}, id, 1)
		case view.Attempted.Outcome == Refused:
			add(key{"refused", view.Attempted.Path, view.Attempted.Reason}, id, 1)
		default:
			add(key{"failed", view.Attempted.Path, view.Attempted.Reason}, id, 1)
		}
	}
	if rest := counted.failing[len(examined):]; len(rest) > 0 {
		add(key{"failed", "", "not looked at: there are so many"}, rest[0], len(rest))
	}
	for i, id := range counted.silent {
		if add(key{outcome: "silent"}, id, 1); i+1 >= mostSome {
			of[key{outcome: "silent"}].Devices = len(counted.silent)
			break
		}
	}
	causes := slices.SortedFunc(maps.Values(of), func(a, b *Cause) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	list := []Cause{}
	for _, cause := range causes[:min(mostCauses, len(causes))] {
		list = append(list, *cause)
	}
	return list, nil
}

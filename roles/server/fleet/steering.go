package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// sizesOf returns the number of devices that each stage of a batch would add if it began now; nil without stages. It
// returns a *release.Error if a stage chooses no device. The arguments are those of prepare.
func (f *Fleet) sizesOf(ctx context.Context, before *ground, after *snapshot, batch Batch, plan []LayerPlan) ([]int, error) {
	if batch.Release == nil {
		return nil, nil
	}
	targets := after.Targets
	targets.Release = &Release{Plan: batch.Release.Plan}
	for i, change := range batch.Changes {
		if !plan[i].Changed {
			continue
		}
		present := before.layer(change.Name)
		present.Name = change.Name
		targets.Release.Before = append(targets.Release.Before, Before{Layer: present})
	}
	gate, err := newGate(targets, after.named)
	if err != nil {
		return nil, err
	}
	devices, err := f.store.Census(ctx)
	if err != nil {
		return nil, err
	}
	counted := f.tally(&snapshot{Targets: targets, present: after.present, gate: gate}, devices, f.options.Now())
	if targets.Release.Before != nil { // otherwise nothing changes, and no release begins
		err = counted.choosesNone(gate)
	}
	return counted.sizes(gate), err
}

// choosesSome returns a *release.Error if a stage of a batch chooses no device.
func (f *Fleet) choosesSome(ctx context.Context, batch Batch) error {
	if !slices.ContainsFunc(batch.Release.Plan.Stages, func(stage release.Stage) bool { return stage.Selector != "" }) {
		return nil
	}
	before, after, plan, err := f.prepare(ctx, &batch)
	if err != nil || plan.Conflict != nil {
		return err // the store refuses the conflict
	}
	_, err = f.sizesOf(ctx, before, after, batch, plan.Layers)
	return err
}

// leastWithin is the shortest time for a device to apply a change, in halves of a poll interval. A device polls within
// one interval, and another server's knowledge of it arrives within a quarter.
const leastWithin = 3

// ReadPlan parses a plan in JSON. Errors are *release.Error.
func (f *Fleet) ReadPlan(text []byte) (release.Plan, error) {
	return release.Parse(text, leastWithin*f.options.PollInterval/2, func(selector string) error {
		_, err := ParseSelector(selector)
		return err
	})
}

// A ReleaseView is a release with the present state of its devices.
type ReleaseView struct {
	Release
	Sizes    []int   // how many devices each stage has, or would have if it began now; nil for a release that has ended
	HeldBy   []Cause // devices that have yet to apply the change (waiting), or were silent already when their stage began (absent)
	Unsigned bool    // devices wait for the change until an operator has signed it
}

// Waits returns what the release waits for; "" if it has ended.
func (v ReleaseView) Waits() string {
	text := v.Release.Waits()
	if v.Unsigned {
		text += ", which no operator has signed: aspects-poc fleet sign"
	}
	return text
}

// Releases returns releases; see Store.Releases. Their Outcome is that of the last move.
func (f *Fleet) Releases(ctx context.Context, below int64, limit int) ([]Release, error) {
	return f.store.Releases(ctx, below, limit)
}

// Active returns the active release as this server knows it; nil for none. Its Outcome is that of the last move.
func (f *Fleet) Active() *Release {
	if gate := f.targets.Load().gate; gate != nil {
		active := gate.release
		active.Before = nil
		return &active
	}
	return nil
}

// ShowRelease returns a release. It counts the present devices of an active one.
func (f *Fleet) ShowRelease(ctx context.Context, id int64) (ReleaseView, error) {
	kept, err := f.store.Release(ctx, id)
	if err != nil || !kept.Active() {
		return ReleaseView{Release: kept}, err
	}
	_ = f.flush(ctx) // as in moveOn
	targets, devices, err := f.census(ctx)
	if err == nil && (targets.gate == nil || targets.gate.release.Version != kept.Version) {
		if targets, err = f.targets.anew(ctx); err == nil {
			kept, err = f.store.Release(ctx, id)
		}
	}
	if err != nil || targets.gate == nil || targets.gate.release.ID != id {
		return ReleaseView{Release: kept}, err
	}
	counted := f.tally(targets, devices, f.options.Now())
	view := ReleaseView{Release: targets.gate.release, Sizes: counted.sizes(targets.gate), HeldBy: counted.heldBy()}
	view.Before = nil
	view.Outcome.Stages = counted.stages
	if view.Outcome.Causes, err = f.causes(ctx, counted); err != nil || targets.book == nil || kept.Progress.Phase != release.Rolling {
		return view, err
	}
	for _, id := range counted.waiting {
		device, err := f.store.Device(ctx, id)
		if errors.Is(err, ErrUnknownDevice) {
			continue
		}
		var shown View
		if err == nil {
			shown, err = f.view(ctx, device)
		}
		if err != nil {
			return view, err
		}
		view.Unsigned = view.Unsigned || shown.Unsigned()
	}
	return view, nil
}

// ErrNoMove is the kind of a *MoveError.
var ErrNoMove = errors.New("the release does not move on that")

// A MoveError says why a person's word does not move a release.
type MoveError struct{ Text string }

func (e *MoveError) Error() string { return e.Text }

// Is makes it an ErrNoMove.
func (e *MoveError) Is(target error) bool { return target == ErrNoMove }

// A Word is a person's word to a release.
type Word struct {
	Release int64
	Version int64 // the version that the release must have; 0 means any
	Event   release.Event
	By      string
	Within  Scope // the scope of the person
}

// permits returns an error if a word may not move the release: a *MoveError for another version, a *ScopeError for a
// release that changes a layer out of the scope.
func (f *Fleet) permits(ctx context.Context, gate *gate, word Word) error {
	of := gate.release
	if word.Version != 0 && word.Version != of.Version {
		return &MoveError{fmt.Sprintf("release %d has moved meanwhile: %s", of.ID, of.Step())}
	}
	if len(word.Within) == 0 {
		return nil
	}
	for _, name := range of.Layers {
		switch {
		case name == Everyone:
			return word.Within.refuse("the release changes the layer of everyone")
		case name.IsDevice():
			device, err := f.store.Device(ctx, name.Device())
			if errors.Is(err, ErrUnknownDevice) {
				continue
			}
			if err == nil {
				err = word.Within.Device(device.Labels)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, selector := range gate.selectors {
		if err := word.Within.Selector(selector); err != nil {
			return err
		}
	}
	return nil
}

// Permits returns an error if a word may not move the active release. It returns nil if the release is not active.
func (f *Fleet) Permits(ctx context.Context, word Word) error {
	gate := f.targets.Load().gate
	if gate == nil || gate.release.ID != word.Release {
		return nil
	}
	return f.permits(ctx, gate, word)
}

// Takes reports whether a person's word would move the release with its present devices.
func (v ReleaseView) Takes(event release.Event) bool {
	_, moves := release.Move(v.Plan, v.Progress, event, v.Outcome.Total(), v.Progress.Since)
	return moves
}

// Say moves a release by a person's word. Errors: ErrUnknownRelease, a *MoveError, a *ScopeError, and the store's.
func (f *Fleet) Say(ctx context.Context, word Word) (ReleaseView, error) {
	id := word.Release
	for attempts := 10; ; attempts-- {
		before, err := f.store.Release(ctx, id)
		if err != nil {
			return ReleaseView{}, err
		}
		if !before.Active() {
			return ReleaseView{}, &MoveError{fmt.Sprintf("release %d has ended: it is %s", id, before.Progress.Phase)}
		}
		after, moves, err := f.moveOn(ctx, word)
		if moved := errors.Is(err, ErrStale) || errors.Is(err, ErrUnknownRelease) && f.catchesUp(ctx); attempts > 0 && moved {
			continue // it has moved meanwhile
		}
		if err != nil {
			return ReleaseView{}, err
		}
		if !moves {
			text := fmt.Sprintf("release %d goes on by itself: it is %s", id, after.Progress.Phase)
			if word.Event == release.SaysHalt {
				text = fmt.Sprintf("release %d is halted already", id)
			}
			return ReleaseView{}, &MoveError{text}
		}
		f.summary.stale.Store(true)
		return f.ShowRelease(ctx, id)
	}
}

func (f *Fleet) catchesUp(ctx context.Context) bool { return f.targets.refresh(ctx) == nil }

// gets reports whether the active release has admitted a device.
func (s *snapshot) gets(device Device) bool {
	_, stage := s.stageOf(device)
	return stage > 0
}

// changes reports whether the active release changes the target of a device. A device whose other layers override the
// change has nothing to apply, and would show nothing about the change in a stage. The device's own layer is ignored,
// because few devices have one.
func (s *snapshot) changes(id uuid.UUID, labels Labels) bool {
	if !s.gate.concerns(id, labels) {
		return false
	}
	if _, own := s.gate.own[id]; own {
		return true
	}
	before, err := s.gate.before.compose(labels, nil)
	if err != nil {
		return true
	}
	after, err := s.present.compose(labels, nil)
	return err != nil || before.hash != after.hash
}

// stageOf returns the active release if it changes a layer of the device, and the number of the stage that has admitted
// the device; 0 if the device waits.
func (s *snapshot) stageOf(device Device) (*Release, int) {
	if s.gate == nil || !s.gate.concerns(device.ID, device.Labels) {
		return nil, 0
	}
	return &s.gate.release, s.gate.stage(device.ID, device.Labels)
}

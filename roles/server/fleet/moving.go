package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

const (
	leastLook = time.Second // between two looks at an active release
	lookShare = 20          // a look that took a second is followed by 20 without
	// mostCauses and mostExamined limit what is kept of the reasons of devices.
	mostCauses   = 10
	mostExamined = 500
	mostSome     = 5
)

// ErrNoMove is the kind of a *MoveError.
var ErrNoMove = errors.New("the release does not move on that")

// A MoveError is why a person's word does not move a release.
type MoveError struct{ Text string }

func (e *MoveError) Error() string { return e.Text }

// Is makes it an ErrNoMove.
func (e *MoveError) Is(target error) bool { return target == ErrNoMove }

// A mover looks at the active release from time to time, and soon after devices have reported.
type mover struct {
	woken chan struct{}

	mu      sync.Mutex // held during a look; guards what follows
	took    time.Duration
	planned planned
}

// planned is how the stages to come would admit devices if they began now.
type planned struct {
	of, version int64
	until       time.Time
	admit       release.Admitted // of all stages
}

// wake has the mover look soon.
func (m *mover) wake() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// lately returns how long the last look took.
func (m *mover) lately() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.took
}

// moveReleases moves the active release on, until ctx ends. Every server does so: the store lets one of them make each move.
func (f *Fleet) moveReleases(ctx context.Context) {
	ticker := time.NewTicker(max(f.options.PollInterval/4, leastLook))
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.mover.woken:
		}
		if f.targets.Load().gate == nil {
			continue
		}
		err := f.MoveRelease(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrOutage): // of which the store tells
		case err != nil && !failing: // once, not each time
			f.options.Log.Error("cannot look after the release; trying again", "error", err)
			failing = true
		case err == nil:
			failing = false
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(leastLook, lookShare*f.mover.lately())):
		}
	}
}

// A tally is how the devices of a release are.
type tally struct {
	total   release.Counts
	stages  []release.Counts // of those that have begun
	devices []tallied
	failing []uuid.UUID
	silent  []uuid.UUID
}

// tallied is a device that the release concerns.
type tallied struct {
	release.Device
	seen  bool // lately
	stage int
}

// tally counts the devices that the active release concerns.
func (f *Fleet) tally(targets *snapshot, devices []Counted, now time.Time) *tally {
	gate := targets.gate
	t := &tally{stages: make([]release.Counts, len(gate.release.Progress.Admit))}
	lost := int64(silentAfter*f.options.PollInterval/time.Second) + 1
	within := int64(time.Duration(gate.release.Plan.StopWhen.Within) / time.Second)
	at := now.Unix()
	for _, device := range devices {
		if device.Status != Active || !gate.concerns(device.ID, device.Labels) {
			continue
		}
		one := gate.device(device.ID, device.Labels)
		stage := gate.release.Progress.Admit.Stage(one, gate.matches(device.Labels))
		t.devices = append(t.devices, tallied{one, device.LastSeen >= at-lost, stage})
		if stage == 0 {
			continue
		}
		began := gate.release.Progress.Admit[stage-1].At.Unix()
		since := max(began, seconds(gate.release.Progress.Resumed))
		counts := &t.stages[stage-1]
		state, _ := derive(device.Status, device.Verdict, targets.desired(device.ID, device.Labels, device.Own))
		tried := device.Verdict.State != StateUnknown && device.Verdict.Revision == targets.desired(device.ID, device.Labels, device.Own)
		late := false
		switch {
		case !tried && device.LastSeen < began-lost:
			counts.Absent++
			continue
		case tried && (state == StateRefused || state == StateFailed):
			counts.Failing++
			t.failing = append(t.failing, device.ID)
			continue
		case tried && state == StateInSync:
			late = at-device.LastSeen > max(within, lost)
		case tried:
			late = at > max(device.Reported, since)+within
		default:
			late = at > max(device.LastSeen, since)+within
		}
		switch {
		case late:
			counts.Silent++
			t.silent = append(t.silent, device.ID)
		case state == StateInSync:
			counts.InSync++
		default:
			counts.Waiting++
		}
	}
	for _, counts := range t.stages {
		t.total.InSync += counts.InSync
		t.total.Failing += counts.Failing
		t.total.Silent += counts.Silent
		t.total.Waiting += counts.Waiting
		t.total.Absent += counts.Absent
	}
	return t
}

// admission returns the admission of a stage that begins. The devices are marked as of that stage.
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

// moveOn moves the active release, which is that of the ID if that is not 0, on an event. by is the person who says so, or "". It
// returns ErrUnknownRelease if there is none.
func (f *Fleet) moveOn(ctx context.Context, id int64, event release.Event, by string) (_ Release, moved bool, _ error) {
	f.mover.mu.Lock()
	defer f.mover.mu.Unlock()
	begin := time.Now()
	defer func() { f.mover.took = time.Since(begin) }()
	_ = f.flush(ctx) // where it cannot be written, who writes it from time to time tells so
	targets, devices, err := f.census(ctx)
	if err != nil {
		return Release{}, false, err
	}
	gate := targets.gate
	if gate == nil || id != 0 && gate.release.ID != id {
		return Release{}, false, ErrUnknownRelease
	}
	now := f.options.Now().UTC()
	counted := f.tally(targets, devices, now)
	after, moves := release.Move(gate.release.Plan, gate.release.Progress, event, counted.total, now)
	if !moves {
		return gate.release, false, nil
	}
	move := ReleaseMove{ID: gate.release.ID, Version: gate.release.Version, Progress: after,
		Authorship: Authorship{By: cmp.Or(by, fmt.Sprint("release ", gate.release.ID)), At: now}}
	if after.Begins() {
		move.Progress.Admit = append(slices.Clone(after.Admit), counted.admission(gate, after.Stage, now))
	}
	move.Outcome.Stages = counted.stages
	if move.Outcome.Causes, err = f.causes(ctx, counted); err != nil {
		return Release{}, false, err
	}
	if by == "" {
		moving := gate.release
		moving.Progress, moving.Outcome = move.Progress, move.Outcome
		ctx = f.byItself(ctx, map[release.Phase]string{release.Halted: "halt", release.Undone: "undo", release.Done: "end"}[after.Phase], moving,
			moving.Step())
	}
	kept, err := f.store.MoveRelease(ctx, move)
	if err != nil {
		if errors.Is(err, ErrStale) {
			_, _ = f.targets.anew(ctx) // another server was faster; its notice comes, too
		}
		return Release{}, false, err
	}
	if _, err := f.targets.anew(context.WithoutCancel(ctx)); err != nil {
		f.options.Log.Error("cannot read the targets that have changed; the notice of it will do so", "error", err)
	}
	f.options.Log.Info("a release has moved", "release", kept.ID, "by", move.By, "step", kept.Step())
	return kept, true, nil
}

// waitsFor returns the number of the stage that is to admit a device, as far as that can be known before; 0 if it cannot.
func (f *Fleet) waitsFor(ctx context.Context, device Device) (int, error) {
	f.mover.mu.Lock()
	defer f.mover.mu.Unlock()
	last := &f.mover.planned
	targets := f.targets.Load()
	if targets.gate == nil {
		return 0, nil
	}
	begin := time.Now()
	if gate := targets.gate; last.of != gate.release.ID || last.version != gate.release.Version || begin.After(last.until) {
		_, devices, err := f.census(ctx)
		if err != nil {
			return 0, err
		}
		counted := f.tally(targets, devices, f.options.Now())
		*last = planned{of: gate.release.ID, version: gate.release.Version, admit: slices.Clone(gate.release.Progress.Admit)}
		for number := len(last.admit) + 1; number <= len(gate.release.Plan.Stages); number++ {
			last.admit = append(last.admit, counted.admission(gate, number, time.Time{}))
		}
		last.until = time.Now().Add(max(leastLook, lookShare*time.Since(begin)))
	}
	return last.admit.Stage(targets.gate.device(device.ID, device.Labels), targets.gate.matches(device.Labels)), nil
}

// causes groups the devices that fail or are silent by their reasons, the most frequent first.
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
	for _, id := range counted.failing[:min(mostExamined, len(counted.failing))] {
		device, err := f.store.Device(ctx, id)
		if errors.Is(err, ErrUnknownDevice) {
			continue
		}
		var view View
		if err == nil {
			view, err = f.view(ctx, device)
		}
		if err != nil {
			return nil, err
		}
		outcome := "failed"
		if view.Attempted.Outcome == Refused {
			outcome = "refused"
		}
		add(key{outcome, view.Attempted.Path, view.Attempted.Reason}, id, 1)
	}
	if rest := counted.failing[min(mostExamined, len(counted.failing)):]; len(rest) > 0 {
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

// released returns what makes a batch a release; nil without a plan.
func (f *Fleet) released(plan *release.Plan, by string) *NewRelease {
	if plan == nil {
		return nil
	}
	return &NewRelease{Plan: *plan, Authorship: Authorship{By: by, At: f.options.Now()}}
}

// StartRelease makes a batch with a plan a release. It returns the layers as SetAll does, and the release; nil if the batch changes
// nothing. Errors: those of SetAll, and a *ReleaseError if another release is active.
func (f *Fleet) StartRelease(ctx context.Context, batch Batch, plan release.Plan, by string) ([]Layer, *Release, error) {
	batch.Release = f.released(&plan, by)
	layers, err := f.SetAll(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	if err := f.MoveRelease(ctx); err != nil { // it has begun; whoever looks next begins its first stage
		f.options.Log.Error("cannot begin the first stage of the release; trying again", "error", err)
	}
	begun, err := f.store.Release(ctx, begunAt(layers))
	if errors.Is(err, ErrUnknownRelease) {
		return layers, nil, nil
	}
	return layers, &begun, err
}

// MoveRelease looks at the active release, if there is one, and moves it on if it is time.
func (f *Fleet) MoveRelease(ctx context.Context) error {
	for {
		_, moved, err := f.moveOn(ctx, 0, release.Look, "")
		switch {
		case errors.Is(err, ErrUnknownRelease), errors.Is(err, ErrStale):
			return nil // there is none, or another server was faster
		case err != nil || !moved:
			return err
		}
	}
}

// sizesOf returns how many devices each stage of a batch would have if it began now, and no stage before; nil if it has none. after
// are the targets after it.
func (f *Fleet) sizesOf(ctx context.Context, after *snapshot, batch Batch) ([]int, error) {
	if batch.Release == nil {
		return nil, nil
	}
	targets := after.Targets
	targets.Release = &Release{Plan: batch.Release.Plan}
	for _, change := range batch.Changes {
		present, err := f.layer(ctx, change.Name)
		if err != nil && !errors.Is(err, ErrUnknownLayer) {
			return nil, err
		}
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
	return f.tally(&snapshot{Targets: targets, present: after.present, gate: gate}, devices, f.options.Now()).sizes(gate), nil
}

// ReadPlan reads a plan in JSON. Errors are *release.Error.
func (f *Fleet) ReadPlan(text []byte) (release.Plan, error) {
	return release.Parse(text, 2*f.options.PollInterval, func(selector string) error {
		_, err := ParseSelector(selector)
		return err
	})
}

// A ReleaseView is a release, with how its devices are now.
type ReleaseView struct {
	Release
	Sizes []int // how many devices each stage has, or would have now; nil if the release has ended
}

// Releases returns releases; see Store.Releases. Their Outcome is that of their last move.
func (f *Fleet) Releases(ctx context.Context, below int64, limit int) ([]Release, error) {
	return f.store.Releases(ctx, below, limit)
}

// Active returns the active release as this server knows it; nil for none. Its Outcome is that of its last move.
func (f *Fleet) Active() *Release {
	if gate := f.targets.Load().gate; gate != nil {
		active := gate.release
		active.Before = nil
		return &active
	}
	return nil
}

// ShowRelease returns a release. If it is active, it counts its devices now.
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
	view := ReleaseView{Release: targets.gate.release, Sizes: counted.sizes(targets.gate)}
	view.Before = nil
	view.Outcome.Stages = counted.stages
	view.Outcome.Causes, err = f.causes(ctx, counted)
	return view, err
}

// Say moves a release as a person says. Errors: ErrUnknownRelease, a *MoveError, and the store's.
func (f *Fleet) Say(ctx context.Context, id int64, event release.Event, by string) (ReleaseView, error) {
	for attempts := 10; ; attempts-- {
		before, err := f.store.Release(ctx, id)
		if err != nil {
			return ReleaseView{}, err
		}
		if !before.Active() {
			return ReleaseView{}, &MoveError{fmt.Sprintf("release %d has ended: it is %s", id, before.Progress.Phase)}
		}
		after, moves, err := f.moveOn(ctx, id, event, by)
		if moved := errors.Is(err, ErrStale) || errors.Is(err, ErrUnknownRelease) && f.catchesUp(ctx); attempts > 0 && moved {
			continue // it has moved meanwhile
		}
		if err != nil {
			return ReleaseView{}, err
		}
		if !moves {
			text := fmt.Sprintf("release %d goes on by itself: it is %s", id, after.Progress.Phase)
			if event == release.SaysHalt {
				text = fmt.Sprintf("release %d is halted already", id)
			}
			return ReleaseView{}, &MoveError{text}
		}
		return f.ShowRelease(ctx, id)
	}
}

func (f *Fleet) catchesUp(ctx context.Context) bool { return f.targets.refresh(ctx) == nil }

// gets tells whether the active release has admitted a device.
func (s *snapshot) gets(device Device) bool {
	_, stage := s.stageOf(device)
	return stage > 0
}

// stageOf returns the active release, if that changes a layer of the device, and the number of the stage that has admitted it; 0 if
// the device waits.
func (s *snapshot) stageOf(device Device) (*Release, int) {
	if s.gate == nil || !s.gate.concerns(device.ID, device.Labels) {
		return nil, 0
	}
	return &s.gate.release, s.gate.stage(device.ID, device.Labels)
}

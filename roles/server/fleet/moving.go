package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aspects-poc/roles/server/fleet/release"
)

const (
	leastLook = time.Second // shortest pause between two reads of an active release
	lookShare = 60          // the pause after a read is 60 times its duration, but at most half a poll interval
	lookEvery = 4           // reads in a poll interval, if a read takes little time
)

// A mover reads the active release from time to time, and soon after devices have reported.
type mover struct {
	woken chan struct{}

	// listens is the time since which this server hears devices, in seconds since 1970. A device is not silent because
	// no server could hear it before.
	listens atomic.Int64

	tries tries

	mu      sync.Mutex // held during a read; guards the fields below
	took    time.Duration
	due     int64 // when the next device will have been silent for too long, in seconds since 1970; 0 for none
	planned planned
}

// planned is how the later stages would admit devices if they began now.
type planned struct {
	of, version int64
	until       time.Time
	admit       release.Admitted // of all stages
}

// wake makes the mover read soon.
func (m *mover) wake() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// pauses returns the shortest pause after the last read, and the pause if no device reports.
func (m *mover) pauses(interval time.Duration, now time.Time) (least, most time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	most = max(interval/lookEvery, leastLook)
	least = min(max(leastLook, lookShare*m.took), 2*most)
	if m.due > 0 {
		most = min(most, time.Unix(m.due, 0).Sub(now))
	}
	return least, max(least, most)
}

// moveReleases moves the active release on until ctx ends. Every server does so; the store lets one of them make each
// move.
func (f *Fleet) moveReleases(ctx context.Context) {
	every := max(f.options.PollInterval/lookEvery, leastLook)
	timer := time.NewTimer(every)
	defer timer.Stop()
	failing := false
	heard := f.options.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.mover.woken:
		}
		now := f.options.Now()
		if now.Sub(heard) > f.options.PollInterval+every { // the store was away, or the machine slept
			f.mover.listens.Store(now.Unix())
		}
		if f.targets.Load().gate == nil {
			heard = now
			timer.Reset(every)
			continue
		}
		err := f.MoveRelease(ctx)
		if err == nil {
			heard = now
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrOutage): // the store logs an outage
		case err != nil && !failing: // once, not each time
			f.options.Log.Error("cannot move the active release on; trying again", "error", err)
			failing = true
		case err == nil:
			failing = false
		}
		least, most := f.mover.pauses(f.options.PollInterval, f.options.Now())
		select {
		case <-ctx.Done():
			return
		case <-time.After(least):
		}
		timer.Reset(most - least)
	}
}

// moveOn moves the active release on an event. word may name the release. It returns ErrUnknownRelease if there is no
// such release.
func (f *Fleet) moveOn(ctx context.Context, word Word) (_ Release, moved bool, _ error) {
	f.mover.mu.Lock()
	defer f.mover.mu.Unlock()
	begin := time.Now()
	defer func() { f.mover.took = time.Since(begin) }()
	_ = f.flush(ctx) // the regular flush reports an error
	targets, devices, err := f.census(ctx)
	if err != nil {
		return Release{}, false, err
	}
	gate := targets.gate
	if gate == nil || word.Release != 0 && gate.release.ID != word.Release {
		return Release{}, false, ErrUnknownRelease
	}
	if err := f.permits(ctx, gate, word); err != nil {
		return Release{}, false, err
	}
	now := f.options.Now().UTC()
	counted := f.tally(targets, devices, now)
	f.mover.due = counted.due
	after, moves := release.Move(gate.release.Plan, gate.release.Progress, word.Event, counted.total, now)
	if !moves {
		return gate.release, false, nil
	}
	if word.By != "" && (after.Phase == release.Halted || after.Phase == release.Undone) {
		after.Why = word.By + " said " + string(word.Event)
	}
	move := ReleaseMove{ID: gate.release.ID, Version: gate.release.Version, Progress: after,
		Authorship: Authorship{By: cmp.Or(word.By, gate.release.ByItself()), At: now}}
	if after.Begins() {
		move.Progress.Admit = append(slices.Clone(after.Admit), counted.admission(gate, after.Stage, now))
	}
	move.Outcome.Stages = counted.stages
	if move.Outcome.Causes, err = f.causes(ctx, counted); err != nil {
		return Release{}, false, err
	}
	if word.By == "" {
		moving := gate.release
		moving.Progress, moving.Outcome = move.Progress, move.Outcome
		ctx = f.byItself(ctx, map[release.Phase]string{release.Halted: "halt", release.Undone: "undo", release.Done: "end"}[after.Phase], moving,
			moving.Step())
	}
	kept, err := f.store.MoveRelease(ctx, move)
	if err != nil {
		if errors.Is(err, ErrStale) {
			_, _ = f.targets.anew(ctx) // another server was first; its notice will come, too
		}
		return Release{}, false, err
	}
	if _, err := f.targets.anew(context.WithoutCancel(ctx)); err != nil {
		f.options.Log.Error("cannot read the targets that have changed; the notice of it will do so", "error", err)
	}
	f.options.Log.Info("a release has moved", "release", kept.ID, "by", move.By, "step", kept.Step())
	return kept, true, nil
}

// waitsFor returns the number of the stage that will admit a device; 0 if that is not known yet.
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

// released returns what makes a batch a release; nil without a plan.
func (f *Fleet) released(plan *release.Plan, by string) *NewRelease {
	if plan == nil {
		return nil
	}
	return &NewRelease{Plan: *plan, Authorship: Authorship{By: by, At: f.options.Now()}}
}

// StartRelease begins a release with a batch and a plan. It returns the layers as SetAll does, and the release; nil if
// the batch changes nothing. Errors: those of SetAll, a *ReleaseError if another release is active, and a
// *release.Error if a stage chooses no device.
func (f *Fleet) StartRelease(ctx context.Context, batch Batch, plan release.Plan, by string) ([]Layer, *Release, error) {
	batch.Release = f.released(&plan, by)
	if err := f.choosesSome(ctx, batch); err != nil {
		return nil, nil, err
	}
	layers, err := f.SetAll(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	if err := f.MoveRelease(ctx); err != nil { // the release has begun; a later call begins its first stage
		f.options.Log.Error("cannot begin the first stage of the release; trying again", "error", err)
	}
	begun, err := f.store.Release(ctx, begunAt(layers))
	if errors.Is(err, ErrUnknownRelease) {
		return layers, nil, nil
	}
	return layers, &begun, err
}

// MoveRelease reads the active release, if there is one, and moves it on if it is time.
func (f *Fleet) MoveRelease(ctx context.Context) error {
	for {
		_, moved, err := f.moveOn(ctx, Word{Event: release.Look})
		switch {
		case errors.Is(err, ErrUnknownRelease), errors.Is(err, ErrStale):
			return nil // there is none, or another server was first
		case err != nil || !moved:
			return err
		}
	}
}

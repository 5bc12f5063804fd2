package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// The phases of an attempt. The journal records each phase before its work begins. After a crash, the journal says
// what was intended, and the views show what was done.
//
//	             commit                  a poll is answered
//	writing ───────────────▶ unconfirmed ──────────────────▶ ended: applied
//	   │ refused, cut short       │ not in time
//	   │                          ▼
//	   └─────────────────────▶ undoing ────────────────────▶ ended: refused or failed

// mostStarts is how many consecutive processes may wait for a confirmation. A target that makes control crash must
// not stay.
const mostStarts = 5

// The pause before a failed target is tried again grows from shortestTry to longestTry.
const (
	shortestTry = time.Minute
	longestTry  = time.Hour
)

// settle continues an attempt after an error or a restart, and undoes one that is not confirmed in time.
func (a *agent) settle(ctx context.Context, hub *attach.Hub) error {
	opened := a.journal.ours()
	if err := errors.Join(a.journal.open(), a.journal.save()); err != nil {
		a.trouble.note(ofJournal, err)
		return nil
	}
	if a.trouble.over(ofJournal) {
		a.log.Info("the journal of targets can be kept again")
	}
	if !a.journal.ours() {
		return nil
	}
	if !opened {
		a.takeUp()
	}
	attempt := a.journal.Attempt
	switch {
	case attempt == nil:
		return nil
	case attempt.Phase == unconfirmed && !a.confirmBy.IsZero():
		if time.Now().Before(a.confirmBy) {
			return nil
		}
		reason := fmt.Sprintf("the server was not reached within %v of it", a.ConfirmWithin)
		if err := a.trouble.now[ofServer]; err != nil {
			reason += ": " + err.Error()
		}
		return a.undo(ctx, hub, a.outcome(attempt.Target, serverapi.Failed, errors.New(reason)))
	case attempt.Phase == undoing:
		return a.undo(ctx, hub, attempt.End)
	}
	current, err := a.present(ctx, hub, attempt)
	if err != nil {
		return err
	}
	shown, missing := attempt.shows(current)
	interrupted := a.failure
	if interrupted == nil {
		interrupted = errors.New("control was ended before the target was confirmed")
	}
	byItself := a.failure != nil || attempt.Starts >= mostStarts
	failed := a.outcome(attempt.Target, serverapi.Failed, interrupted)
	switch {
	case attempt.Phase == writing && shown == 0:
		a.end(failed)
	case missing > 0 || attempt.Starts >= mostStarts:
		err = a.undo(ctx, hub, failed)
	default:
		a.committed(attempt)
		return nil
	}
	if a.journal.Attempt == nil && !byItself && (a.once || a.journal.Tries <= 1) {
		a.tryAt = time.Time{} // a power cut is not the target's fault
	}
	return err
}

// takeUp is called once this process may change the journal and has read it.
func (a *agent) takeUp() {
	if a.once {
		return
	}
	if ended := a.journal.Attempted; ended != nil && ended.Outcome == serverapi.Failed {
		a.tryAt = time.Now().Add(a.tryPause())
	}
	if known := a.journal.PollInterval; known > 0 && a.journal.Attempt == nil {
		// A whole fleet may have been switched on at the same time.
		a.pollAt = time.Now().Add(time.Duration(a.random() * float64(known) * float64(time.Second)))
	}
}

// attempt brings the views to a target.
func (a *agent) attempt(
	ctx context.Context, hub *attach.Hub, target Target, config serverapi.Config, changes registry.Changes,
	current map[string]map[string]any,
) error {
	attempt := &Attempt{Target: target, Phase: writing, Changes: changes, Before: map[string]map[string]any{}}
	for view, values := range changes {
		attempt.Before[view] = map[string]any{}
		for request := range values {
			attempt.Before[view][request] = lookUp(current[view], request)
		}
	}
	next := a.journal.Journal
	next.Attempt = attempt
	if err := a.journal.put(next); err != nil {
		// Without the journal the attempt could not be undone after a crash.
		a.trouble.note(ofJournal, err)
		a.end(a.outcome(target, serverapi.Failed, err))
		return nil
	}
	a.confirmBy, a.failure = time.Time{}, nil
	if err := a.write(ctx, hub, changes, current); err != nil {
		a.failure = err
		if !isRefusal(err) {
			return err // settle continues
		}
		kind := serverapi.Refused
		if !lasting(err) {
			kind = serverapi.Failed
		}
		return a.undo(ctx, hub, a.outcome(target, kind, err))
	}
	a.refused = ""
	a.committed(attempt)
	return a.verify(ctx, hub, config, changes, current)
}

// committed starts the wait for the server.
func (a *agent) committed(attempt *Attempt) {
	again := attempt.Phase == unconfirmed
	waiting := *attempt
	waiting.Phase = unconfirmed
	waiting.Starts++
	if !again {
		waiting.At = time.Now().Unix()
	}
	next := a.journal.Journal
	next.Attempt = &waiting
	a.keep(next)
	a.confirmBy, a.extended, a.failure = time.Now().Add(a.ConfirmWithin), 0, nil
	a.soon()
	if again {
		return
	}
	for _, view := range slices.Sorted(maps.Keys(attempt.Changes)) {
		fmt.Fprintf(a.out, "Target applied to %s: %s.\n", view, describe(attempt.Changes[view]))
	}
}

// confirm ends an attempt with success: the server was reached after it.
func (a *agent) confirm() {
	attempt := a.journal.Attempt
	a.confirmBy = time.Time{}
	a.trouble.over(ofTarget)
	next := a.journal.Journal
	next.Attempt, next.Running, next.Tries = nil, &attempt.Target, 0
	next.Attempted = &Outcome{Target: attempt.Target, Outcome: serverapi.Applied, At: attempt.At}
	a.keep(next)
	a.log.Debug("target confirmed", "revision", attempt.Revision)
}

// done records a target that needs no changes.
func (a *agent) done(target Target) {
	next := a.journal.Journal
	if next.Running != nil && *next.Running == target && next.Attempted != nil &&
		next.Attempted.Target == target && next.Attempted.Outcome == serverapi.Applied {
		return
	}
	next.Running, next.Tries = &target, 0
	next.Attempted = &Outcome{Target: target, Outcome: serverapi.Applied, At: time.Now().Unix()}
	a.keep(next)
	a.soon()
}

// undo restores what the attempt changed and nobody else has changed since.
func (a *agent) undo(ctx context.Context, hub *attach.Hub, end *Outcome) error {
	attempt := a.journal.Attempt
	if attempt.Phase != undoing {
		going := *attempt
		going.Phase, going.End = undoing, end
		attempt = &going
		next := a.journal.Journal
		next.Attempt = attempt
		a.keep(next)
	}
	current, err := a.present(ctx, hub, attempt)
	if err != nil {
		return err
	}
	back := attempt.back(current)
	ended, incomplete := *end, false
	if len(back) > 0 {
		if err := a.write(ctx, hub, back, current); err != nil {
			if !isRefusal(err) {
				return err // the next cycle continues
			}
			ended.add("; and what was there before could not be put back: " + err.Error())
			incomplete = true
		}
		if err := a.look(ctx, hub, back); err != nil {
			return err
		}
	}
	if !incomplete {
		for _, view := range slices.Sorted(maps.Keys(back)) {
			fmt.Fprintf(a.out, "Target taken back from %s: %s.\n", view, describe(back[view]))
		}
	}
	if hidden := attempt.hidden(current); len(hidden) > 0 {
		ended.add("; " + strings.Join(hidden, ", ") + " cannot be read, and so not be put back")
	}
	if incomplete {
		next := a.journal.Journal
		next.Running = nil // neither this target nor the previous one
		a.journal.Journal = next
	}
	a.end(&ended)
	return nil
}

// end ends an attempt without success. It may not have begun.
func (a *agent) end(ended *Outcome) {
	a.confirmBy, a.failure = time.Time{}, nil
	next := a.journal.Journal
	before := next.Attempted
	again := before != nil && before.Target == ended.Target && before.Outcome == ended.Outcome
	next.Attempt, next.Attempted = nil, ended
	if !again {
		next.Tries = 0
	}
	if ended.Outcome == serverapi.Failed {
		next.Tries++
	} else if again && before.Path == ended.Path && before.Reason == ended.Reason {
		ended.At = before.At // the same as before
	}
	a.keep(next)
	if ended.Outcome == serverapi.Failed {
		a.tryAt = time.Now().Add(a.tryPause())
	}
	a.told(ended)
	a.soon()
}

// soon makes the next exchange start at once, up to mostCalls times between two counts.
func (a *agent) soon() {
	if a.calls < mostCalls {
		a.call = true
	}
}

// keep replaces the journal.
func (a *agent) keep(next Journal) {
	if err := a.journal.note(next); err != nil {
		a.trouble.note(ofJournal, err)
	}
}

// tryPause returns the pause before a failed target is tried again.
func (a *agent) tryPause() time.Duration {
	pause := shortestTry
	for range a.journal.Tries - 1 {
		if pause *= 2; pause >= longestTry {
			pause = longestTry
			break
		}
	}
	return pause/2 + time.Duration(a.random()*float64(pause/2))
}

// outcome returns the end of an attempt. A registry's error gives its path and reason.
func (a *agent) outcome(target Target, kind string, err error) *Outcome {
	ended := &Outcome{Target: target, Outcome: kind, Reason: err.Error(), Text: err.Error(), At: time.Now().Unix()}
	var refused *registry.Error
	if errors.As(err, &refused) && refused.Path != "" && refused.Reason != "" {
		ended.Path, ended.Reason = refused.Path, refused.Reason
	}
	return ended
}

func (o *Outcome) add(more string) {
	o.Reason += more
	o.Text += more
}

// told reports as trouble that a target is not applied.
func (a *agent) told(ended *Outcome) {
	a.trouble.note(ofTarget, fmt.Errorf("cannot apply the server's target: %s", ended.Text),
		"revision", ended.Revision, "outcome", ended.Outcome, "path", ended.Path, "reason", ended.Reason)
}

// present reads the control views again.
func (a *agent) present(ctx context.Context, hub *attach.Hub, attempt *Attempt) (map[string]map[string]any, error) {
	a.forget()
	views := attempt.Changes
	if a.interfaces == nil {
		views = map[string]map[string]any{network.ControlInterfacesView: nil} // the rules always need it
	}
	if err := a.look(ctx, hub, views); err != nil {
		return nil, err
	}
	return a.documents(ctx)
}

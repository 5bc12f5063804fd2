package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/serverapi"
)

// A targets applies the server's targets. Package target decides what to do: targets sends it events, and performs the
// effects on registry, journal and log.
type targets struct {
	machine   target.Machine
	state     target.State
	journal   *state.Keeper
	apply     applier
	operators operators
	token     string // digest of the enrolment token, as its name; "" for none
	views     *views
	log       *slog.Logger
	trouble   *troubles
	random    func() float64
	polls     *schedule
}

// resume continues an attempt after an error or a restart, and undoes one that is not confirmed in time. unreached is why the
// server was not reached last; nil if it was.
func (t *targets) resume(ctx context.Context, hub *attach.Hub, unreached error) error {
	if err := t.open(ctx, hub); err != nil {
		t.trouble.report(ofJournal, err)
		return nil
	}
	if t.trouble.clear(ofJournal) {
		t.log.Info("the journal of targets can be written again")
	}
	if !t.journal.Held() {
		return nil
	}
	if t.operators.none() {
		if err := t.handle(ctx, hub, &target.Event{Kind: target.NoKeys}); err != nil {
			return err
		}
	}
	if err := t.operators.load(); err != nil {
		t.trouble.report(ofOperators, err)
	} else if t.operators.remind(); t.trouble.clear(ofOperators) {
		t.log.Info("the operators' keys can be read again")
	}
	event := &target.Event{Kind: target.CycleBegins}
	if unreached != nil {
		event.Cause.Text = unreached.Error()
	}
	return t.handle(ctx, hub, event)
}

// open reads the journal and locks it, unless this process holds it already. Then it writes what it could not write
// before.
func (t *targets) open(ctx context.Context, hub *attach.Hub) error {
	if t.journal.Held() {
		return t.journal.Retry()
	}
	journal, err := t.journal.Open()
	if err != nil {
		return err
	}
	t.state = target.State{Journal: journal}
	if !t.journal.Held() || t.machine.Once {
		return nil
	}
	if known := t.standing().interval; known > 0 && journal.Attempt == nil {
		t.polls.spread(known)
	}
	return t.handle(ctx, hub, &target.Event{Kind: target.Started})
}

// confirming returns the attempt of this process that an answered poll would confirm, or nil.
func (t *targets) confirming() *target.Attempt {
	if !t.journal.Held() {
		return nil
	}
	return t.state.Confirming()
}

// reportable reports whether the views hold what the journal says. Until then no poll starts.
func (t *targets) reportable() bool {
	phase := t.state.Phase()
	return !t.journal.Held() || phase == target.Idle || phase == target.Unconfirmed
}

// standing returns the state of the targets that decides when the next exchange starts.
func (t *targets) standing() standing {
	return standing{interval: time.Duration(t.state.PollInterval) * time.Second, confirms: t.confirming(),
		within: t.machine.ConfirmWithin, retryAt: t.state.RetryAt}
}

// withholds reports whether a server gets no enrolment token.
func (t *targets) withholds(server string) bool { return t.state.Withholds(server, t.token) }

// report returns a poll's report about targets for this configuration. Every poll has the whole journal, so that it
// does not matter which reports the server has stored. The report is empty if another process applies targets.
func (t *targets) report(config serverapi.Config, instance string) *serverapi.Report {
	if !t.journal.Held() {
		return &serverapi.Report{}
	}
	report := t.state.Report()
	report.Instance = instance
	numbered, err := t.state.Number(report, config, time.Now())
	if err == nil && numbered.Sequence != t.state.Sequence {
		err = t.change(numbered)
	}
	if err != nil {
		t.trouble.report(ofJournal, err)
	}
	report.Sequence = t.state.Sequence
	return report
}

// change replaces the journal, except for an attempt. If the disk fails or another process applies targets, the change
// stays in memory.
func (t *targets) change(journal target.Journal) error {
	t.state.Journal = journal
	if !t.journal.Held() {
		return nil
	}
	return t.journal.Save(journal)
}

// pollEvery records the server's interval.
func (t *targets) pollEvery(interval time.Duration) {
	if err := t.change(t.state.PollEvery(int64(interval / time.Second))); err != nil {
		t.trouble.report(ofJournal, err)
	}
}

// overtaken records that the server has a later report than this process's.
func (t *targets) overtaken(sequence int64) {
	if err := t.change(t.state.Overtaken(sequence)); err != nil {
		t.trouble.report(ofJournal, err)
	}
}

// busy records that the server was reached, but asked for a pause.
func (t *targets) busy(ctx context.Context, hub *attach.Hub, pause time.Duration) error {
	return t.handle(ctx, hub, &target.Event{Kind: target.ServerBusy, RetryAfter: pause})
}

// answered handles an answered poll: it confirms the attempt that the poll reported, and applies what is offered. It
// returns an error of the registry if time or an administrator can solve it.
func (t *targets) answered(ctx context.Context, hub *attach.Hub, result *outcome) error {
	confirms, offer := result.confirms, result.answer.Offer
	if confirms != nil && confirms == t.confirming() {
		event := &target.Event{Kind: target.PollAnswered, Confirms: confirms, Proven: result.proven}
		if err := t.handle(ctx, hub, event); err != nil {
			return err
		}
		t.log.Debug("target confirmed", "revision", confirms.Revision)
	}
	switch {
	case offer == nil:
		t.apply.forget()
		return t.handle(ctx, hub, &target.Event{Kind: target.NotOffered})
	case !t.journal.Held():
		t.log.Debug("another process applies targets, so this one ignores the target", "revision", offer.Revision)
		return nil
	}
	return t.consider(ctx, hub, proposal{Offer: offer, proven: result.proven})
}

// consider applies an offer. If the device needs an operator's signature, it checks the signature first.
func (t *targets) consider(ctx context.Context, hub *attach.Hub, offer proposal) error {
	if err := t.operators.check(offer.Offer); stateError(err) != nil {
		t.trouble.report(ofOperators, err)
		return nil
	} else if err != nil {
		return t.handle(ctx, hub, &target.Event{Kind: target.NotSigned, Target: offered(offer.Offer), Cause: cause(err)})
	}
	return t.pursue(ctx, hub, &target.Event{Kind: target.Offered, Target: offered(offer.Offer)}, offer)
}

// offered returns the target of an offer.
func offered(offer *serverapi.Offer) target.Target {
	return target.Target{Revision: offer.Revision, Hash: offer.Hash}
}

// step returns the effects of an event.
func (t *targets) step(event *target.Event) (effects []target.Effect) {
	event.Now, event.Random, event.Token = time.Now(), t.random(), t.token
	t.state, effects = t.machine.Step(t.state, event)
	return effects
}

// handle performs the effects of an event, and those of the events that follow from it.
func (t *targets) handle(ctx context.Context, hub *attach.Hub, event *target.Event) error {
	return t.pursue(ctx, hub, event, proposal{})
}

// pursue is handle with the offer to plan; only target.Offered leads to a plan.
func (t *targets) pursue(ctx context.Context, hub *attach.Hub, event *target.Event, offer proposal) error {
	for event != nil {
		effects := t.step(event)
		event = nil
		for _, effect := range effects {
			var err error
			if event, err = t.perform(ctx, hub, effect, offer); err != nil {
				return err
			}
			if event != nil {
				break
			}
		}
	}
	return nil
}

// perform performs an effect, and returns the event that follows from it, or nil.
func (t *targets) perform(ctx context.Context, hub *attach.Hub, effect target.Effect, offer proposal) (*target.Event, error) {
	switch effect {
	case target.Save:
		if err := t.journal.Save(t.state.Journal); err != nil {
			t.trouble.report(ofJournal, err)
		}
	case target.Record:
		if err := t.journal.Record(t.state.Journal); err != nil {
			t.trouble.report(ofJournal, err)
			return &target.Event{Kind: target.NotRecorded, Cause: cause(err)}, nil
		}
	case target.Warn:
		ended := t.state.Attempted
		t.trouble.report(ofTarget, fmt.Errorf("cannot apply the server's target: %s", plain.Clip(ended.Text, longestText)),
			"revision", ended.Revision, "outcome", ended.Outcome, "path", ended.Path, "reason", ended.Reason)
	case target.Clear:
		t.trouble.clear(ofTarget)
	case target.Poll:
		t.polls.soon()
	case target.Announce:
		t.apply.announce("applied to", t.state.Attempt.Changes)
	case target.Plan:
		return t.apply.plan(ctx, offer, t.state.Own)
	case target.Write:
		event, err := t.apply.write(ctx, hub, t.state.Attempt)
		if err != nil {
			t.step(event)
		}
		return event, err
	case target.Verify:
		return nil, t.apply.verify(ctx, hub, offer, t.state.Own, t.state.Attempt)
	case target.Compare:
		return t.apply.compare(ctx, hub, t.state.Attempt)
	case target.Undo:
		return t.apply.undo(ctx, hub, t.state.Attempt)
	}
	return nil, nil
}

// longestText is the longest text of a server in a printed line, in bytes. The log has its own limit.
const longestText = 1000

// cause returns why a target is not applied. A registry's error gives its path and reason.
func cause(err error) target.Cause {
	var refused *registry.Error
	if errors.As(err, &refused) && refused.Path != "" && refused.Reason != "" {
		return target.Cause{Path: refused.Path, Reason: refused.Reason, Text: err.Error()}
	}
	return target.Cause{Reason: err.Error(), Text: err.Error()}
}

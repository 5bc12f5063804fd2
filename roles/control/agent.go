package control

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An agent is the running role: its cycle, and one owner for each part of its state. All its methods run in one
// goroutine; only exchanges run in parallel.
type agent struct {
	once     bool
	counters string // --counters
	open     func(ctx context.Context) (*registry.Registry, error)
	snapDir  string // folder of the files for hooks
	pace     attach.Pace
	trouble  *troubles
	views    *views
	identity identity
	counting counting
	talk     talk
	targets  targets
}

func newAgent(config Config, parts parts, out io.Writer, s *roles.Settings, wake func()) (*agent, error) {
	dir := &state.Dir{Path: config.StateDir, NewKey: parts.newKey, Replace: parts.replace}
	random := parts.random
	if random == nil {
		random = rand.Float64
	}
	transport := parts.transport
	if transport == nil {
		network, err := serverapi.NewTransport(config.CA)
		if err != nil {
			return nil, err
		}
		transport = network
	}
	trouble := &troubles{log: s.Log, quiet: s.Once, now: map[subject]error{}}
	views := &views{}
	a := &agent{
		once: s.Once, open: s.Open, counters: config.Counters, snapDir: s.StateDir, pace: attach.Pace{Interval: s.Interval},
		trouble: trouble, views: views,
		identity: identity{dir: dir, views: views, out: out, log: s.Log, trouble: trouble},
		counting: counting{source: config.source(s.Log, parts.links), views: views, dir: dir, serverURL: config.ServerURL,
			out: out, log: s.Log, trouble: trouble},
		talk: talk{dir: dir, base: transport, transport: newSigning(dir, transport), log: s.Log, trouble: trouble, wake: wake,
			enrolment: enrolment{labels: config.Labels, token: config.Token}, results: make(chan *outcome, 1),
			schedule: schedule{mayHold: config.Wait && !s.Once, standard: s.Interval, random: random,
				retry: poll.Backoff{Jitter: 1, Random: random}, longest: serverapi.MaxWait * time.Second}},
		targets: targets{machine: target.Machine{ConfirmWithin: config.ConfirmWithin, Once: s.Once}, journal: dir.NewKeeper(),
			views: views, log: s.Log, trouble: trouble, random: random, token: digest(config.Token),
			operators: operators{dir: dir, keys: config.OperatorKeys, log: s.Log},
			apply: applier{planner: plan.Make, schema: network.Document(s.Account), hosts: config.ServerHosts, views: views, out: out,
				id: registry.ViewID{Account: cmp.Or(s.Account, network.AccountID), Schema: network.Name}}},
	}
	a.targets.polls = &a.talk.schedule
	return a, nil
}

func (a *agent) start(ctx context.Context, hub *attach.Hub) error {
	if err := a.views.watch(ctx, hub, a.talk.wake); err != nil {
		return err
	}
	file := newCountersFile(a.snapDir)
	if err := errors.Join(a.talk.dir.Tidy(), file.tidy()); err != nil {
		a.talk.log.Warn("cannot remove the leftovers of an earlier run", "error", err)
	}
	return a.counting.start(ctx, hub, file, a.counters)
}

// close waits for the running exchange. Its context must have ended.
func (a *agent) close() {
	a.talk.close()
	a.targets.journal.Close()
}

// next returns the time until the next cycle.
func (a *agent) next() time.Duration {
	left := a.pace.Left()
	if !a.talk.busy {
		left = min(left, time.Until(a.talk.at))
	}
	if deadline := a.targets.state.Deadline; !deadline.IsZero() {
		left = min(left, time.Until(deadline))
	}
	return max(left, time.Nanosecond)
}

// cycle does what is due: it handles the result of an exchange, continues an attempt, counts, and starts an exchange.
// It returns errors of the registry; with --once it returns all errors.
func (a *agent) cycle(ctx context.Context, hub *attach.Hub) error {
	select {
	case result := <-a.talk.results:
		if err := a.receive(ctx, hub, result); err != nil {
			return err
		}
	default:
	}
	if err := a.targets.resume(ctx, hub, a.trouble.now[ofServer]); err != nil {
		return err
	}
	if err := a.targets.applyStored(ctx, hub); err != nil {
		return err
	}
	if a.pace.Due() {
		if err := a.counting.count(ctx, hub); err != nil {
			return err
		}
		a.pace.Done()
		a.talk.calls = 0
	}
	if err := a.send(ctx, hub); err != nil || !a.once {
		return err
	}
	// With --once, wait for the result and its consequences.
	for a.talk.busy || a.targets.confirming() != nil {
		if err := a.await(ctx, hub); err != nil {
			return err
		}
		if err := a.targets.resume(ctx, hub, a.trouble.now[ofServer]); err != nil {
			return err
		}
		if err := a.send(ctx, hub); err != nil {
			return err
		}
	}
	return a.trouble.err()
}

// await waits for the result of an exchange, or until something else is due.
func (a *agent) await(ctx context.Context, hub *attach.Hub) error {
	if a.talk.busy {
		return a.receive(ctx, hub, <-a.talk.results)
	}
	if a.talk.atOnce {
		return nil
	}
	next := a.targets.state.Deadline
	if a.talk.at.Before(next) {
		next = a.talk.at
	}
	return poll.Sleep(ctx, max(time.Until(next), time.Nanosecond))
}

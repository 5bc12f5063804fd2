package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// An agent is the running role. One goroutine calls its methods; only exchanges run in parallel.
type agent struct {
	Config
	once    bool
	snapDir string // folder of the files for hooks
	out     io.Writer
	log     *slog.Logger
	wake    func()
	pace    attach.Pace
	dir     *state.Dir
	source  source
	trouble troubles

	identity, device, tunnel, telemetry *kept.View
	counters                            counters
	interfaces                          map[string]any // document of control-interfaces after the last count

	defaultsDone bool
	sourceDone   bool                // the state directory has recorded whether the totals are simulated
	registration *state.Registration // from the state directory or the server
	asked        bool                // the state directory was read
	unreadable   bool                // reading the state directory failed
	uuid         uuid.UUID           // the device's UUID in the registry
	foreign      uuid.UUID           // a different UUID of the registry that was logged

	base      http.RoundTripper // for servers, without signatures
	transport http.RoundTripper // for servers, with signatures
	random    func() float64    // in [0,1)
	server    *serverapi.Client
	lost      uuid.UUID // UUID that the server no longer knows
	call      bool      // start an exchange at once
	pollAt    time.Time // start the next exchange then
	calls     int       // exchanges started at once since the last count
	retry     poll.Backoff
	results   chan outcome
	exchanges sync.WaitGroup
	busy      bool                    // an exchange is running
	holding   bool                    // the server may hold the running poll
	cut       context.CancelCauseFunc // ends the running exchange
	holds     bool                    // the server holds polls
	longest   time.Duration           // longest time for which a poll may be held
	countedAt time.Time

	journal   *ledger
	confirmBy time.Time     // time at which an unconfirmed attempt is undone; zero until this process has taken it up
	extended  time.Duration // by how much confirmBy was postponed
	failure   error         // error of the last write
	tryAt     time.Time     // a failed target is not tried again before; zero means at once

	applier
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
	return &agent{
		Config: config, once: s.Once, snapDir: s.StateDir, out: out, log: s.Log, wake: wake,
		pace: attach.Pace{Interval: s.Interval}, source: config.source(s.Log, parts.links), base: transport, transport: newSigning(dir, transport),
		random: random, retry: poll.Backoff{Jitter: 1, Random: random}, longest: serverapi.MaxWait * time.Second,
		dir: dir, journal: &ledger{dir: dir},
		trouble: troubles{log: s.Log, quiet: s.Once, now: map[subject]error{}}, results: make(chan outcome, 1),
		applier: applier{planner: plan.Make, schema: network.Document(s.Account),
			id: registry.ViewID{Account: cmp.Or(s.Account, network.AccountID), Schema: network.Name}},
	}, nil
}

func (a *agent) start(ctx context.Context, hub *attach.Hub) error {
	for _, view := range []struct {
		name    string
		keep    **kept.View
		changed func()
	}{
		{network.ObserveDeviceView, &a.identity, nil},
		{network.ControlDeviceView, &a.device, a.wake}, // the server may have changed
		{network.ControlTunnelView, &a.tunnel, nil},
		{network.ControlTelemetryView, &a.telemetry, nil},
	} {
		var err error
		if *view.keep, err = hub.Keep(ctx, view.name, view.changed); err != nil {
			return err
		}
	}
	if err := errors.Join(a.dir.Tidy(), newCountersFile(a.snapDir).tidy()); err != nil {
		a.log.Warn("leftovers of an earlier run stay", "error", err)
	}
	return a.startCounters(ctx, hub)
}

// startCounters chooses where the totals are stored: in a file if hooks of the snap can supply them to readers.
func (a *agent) startCounters(ctx context.Context, hub *attach.Hub) error {
	file := newCountersFile(a.snapDir)
	if a.Counters == countersAuto && hub.Capabilities.Hooks {
		view, err := hub.Keep(ctx, network.ControlInterfacesView, nil)
		a.counters = &inFile{file: file, view: view}
		return err
	}
	totals, err := file.retire()
	if err != nil {
		a.trouble.note(ofCounters, err)
	}
	a.counters = &inRegistry{ahead: totals}
	return nil
}

// close waits for the running exchange. Its context must have ended.
func (a *agent) close() {
	a.exchanges.Wait()
	if a.server != nil {
		a.server.CloseIdleConnections()
	}
	a.journal.close()
}

// next returns the time until the next cycle.
func (a *agent) next() time.Duration {
	left := a.pace.Left()
	if !a.busy {
		left = min(left, time.Until(a.pollAt))
	}
	if !a.confirmBy.IsZero() {
		left = min(left, time.Until(a.confirmBy))
	}
	return max(left, time.Nanosecond)
}

// cycle counts, talks to the server and ends attempts, as far as each is due, and handles the result of an exchange.
// It returns errors of the registry; with --once it returns all errors.
func (a *agent) cycle(ctx context.Context, hub *attach.Hub) error {
	if err := a.collect(ctx, hub); err != nil {
		return err
	}
	if err := a.settle(ctx, hub); err != nil {
		return err
	}
	if a.pace.Due() {
		if err := a.count(ctx, hub); err != nil {
			return err
		}
		a.pace.Done()
		a.calls = 0
	}
	if err := a.converse(ctx, hub); err != nil || !a.once {
		return err
	}
	// With --once, wait for the result and its consequences.
	for a.busy || a.confirming() != nil {
		if err := a.await(ctx, hub); err != nil {
			return err
		}
		if err := a.settle(ctx, hub); err != nil {
			return err
		}
		if err := a.converse(ctx, hub); err != nil {
			return err
		}
	}
	return a.trouble.err()
}

// await waits for the result of an exchange, or until something else is due.
func (a *agent) await(ctx context.Context, hub *attach.Hub) error {
	if a.busy {
		return a.take(ctx, hub, <-a.results)
	}
	next := a.confirmBy
	if a.call {
		return nil
	}
	if a.pollAt.Before(next) {
		next = a.pollAt
	}
	return poll.Sleep(ctx, max(time.Until(next), time.Nanosecond))
}

// count writes the defaults, once, and advances the counters with one read and one write.
func (a *agent) count(ctx context.Context, hub *attach.Hub) error {
	if err := a.source.prepare(); err != nil {
		a.trouble.note(ofSource, err)
		return nil
	}
	a.trouble.over(ofSource)
	if err := a.writeDefaults(ctx, hub); err != nil {
		return err
	}
	a.settleSource(ctx)
	list, document, err := a.counters.advance(ctx, hub, a.source.count)
	var file *fileError
	if errors.As(err, &file) && ctx.Err() == nil {
		a.trouble.note(ofCounters, err)
		return nil
	}
	if err != nil {
		return err
	}
	a.trouble.over(ofCounters)
	a.settled(ctx)
	a.interfaces, a.countedAt = document, time.Now()
	for _, traffic := range list {
		fmt.Fprintln(a.out, traffic)
	}
	if !hub.Watching {
		return nil
	}
	return a.refresh(ctx)
}

// refresh reads the kept views that are due, so that they are not all read together when the server answers again.
func (a *agent) refresh(ctx context.Context) error {
	if _, err := a.identity.Get(ctx); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	_, err := a.documents(ctx)
	return err
}

// identify determines the device's UUID, and writes the registration to the registry if it does not show it.
func (a *agent) identify(ctx context.Context, hub *attach.Hub) error {
	if !a.asked {
		device, err := a.dir.Device()
		if err != nil {
			a.trouble.note(ofState, err)
			a.unreadable = true
		} else {
			a.registration, a.asked = device.Registration, true
			if a.unreadable {
				a.trouble.over(ofState)
			}
		}
	}
	var shown network.ObserveDevice
	if err := a.identity.Read(ctx, &shown); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	a.uuid = uuid.Nil
	if shown.UUID != "" {
		known, err := uuid.Parse(shown.UUID)
		if err != nil {
			return fmt.Errorf("cannot use the device's uuid %q of the registry: %w", shown.UUID, err)
		}
		a.uuid = known
	}
	ours := a.registration
	if ours == nil || ours.UUID == a.lost || ours.UUID == a.uuid {
		return nil
	}
	if a.uuid != uuid.Nil && a.uuid != a.lost {
		// Somebody set it, or registered the device with another state directory.
		if a.foreign != a.uuid {
			a.foreign = a.uuid
			a.log.Warn("the registry names another device than the state directory; the registry's is used",
				"registry", a.uuid, "state", ours.UUID)
		}
		return nil
	}
	err := hub.View(network.ControlDeviceView).Set(ctx, network.ControlDevice{
		ID: ours.UUID.String(), Registered: network.Unix(ours.Registered),
	})
	if err != nil {
		return err
	}
	a.identity.Forget()
	a.uuid = ours.UUID
	fmt.Fprintf(a.out, "Device %s registered.\n", a.uuid)
	return nil
}

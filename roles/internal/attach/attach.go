// Package attach connects a role to its registry. Run opens the registry and runs the role's cycles. If an access
// fails, it logs the reason and the remedy once, waits with growing pauses and continues. Its main types are Options
// and Hub.
//
//	err := attach.Run(ctx, attach.Options{Log: s.Log, Open: s.Open, Once: s.Once, Interval: s.Interval,
//		Start: agent.start, Cycle: agent.cycle})
package attach

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/internal/poll"
)

// Options are options of Run. Log, Open, Interval and Cycle are required.
type Options struct {
	Log      *slog.Logger
	Open     func(ctx context.Context) (*registry.Registry, error)
	Once     bool          // run one cycle and return its error
	Interval time.Duration // between cycles

	// Start, if not nil, runs before the first cycle. It runs again after it has failed.
	Start func(ctx context.Context, hub *Hub) error
	// Cycle runs one cycle.
	Cycle func(ctx context.Context, hub *Hub) error

	// Next and Wake are those of poll.Options. Next is not called after a failed cycle.
	Next func() time.Duration
	Wake <-chan struct{}

	// FirstSlot is the slot of the first hinted view; the next view has the next slot. See kept.Hinted.
	FirstSlot int
	// Custodian is the snap to name in the remedy for a view without a custodian.
	Custodian string

	// Random returns numbers in [0,1) for the jitter of pauses; nil means math/rand/v2.
	Random func() float64
}

// A Hub is the open registry with its kept views.
type Hub struct {
	*registry.Registry
	// Watching means that views are watched instead of read in each cycle: changes are announced, and there are
	// several cycles.
	Watching bool
	// Capabilities are the registry's.
	Capabilities registry.Capabilities

	views []*kept.View
	slot  int // slot of the next hinted view
}

// Keep returns a view that is read again after a change. If changes are not announced, it is read in each cycle. Run
// closes the view when it returns. changed, if not nil, is called after each announced change, in another goroutine.
func (h *Hub) Keep(ctx context.Context, name string, changed func()) (view *kept.View, err error) {
	switch {
	case !h.Watching:
		view = kept.New(h.View(name))
	case h.Capabilities.WatchPushed:
		view, err = kept.Watch(ctx, h.View(name), changed)
	default:
		view, err = kept.Hinted(ctx, h.View(name), h.slot, changed)
		h.slot++
		if errors.Is(err, registry.ErrUnsupported) {
			view, err = kept.New(h.View(name)), nil // a late change is better than none
		}
	}
	if err != nil {
		return nil, err
	}
	h.views = append(h.views, view)
	return view, nil
}

// KeepSupplied is Keep for a view with values from a load-view hook. Changes of such values are not announced. In a
// snap with hooks the view is read again if the last read is about as old as lasts.
func (h *Hub) KeepSupplied(ctx context.Context, name string, lasts time.Duration) (*kept.View, error) {
	if !h.Watching || h.Capabilities.WatchPushed {
		return h.Keep(ctx, name, nil)
	}
	view := kept.Lasting(h.View(name), lasts)
	h.views = append(h.views, view)
	return view, nil
}

func (h *Hub) release() {
	for _, view := range h.views {
		view.Close()
	}
	h.views = nil
}

// longestPause is the longest pause between two attempts: how long an administrator waits at most after a repair.
const longestPause = time.Minute

// Run opens the registry and runs cycles until ctx ends; then it returns nil. With Once it runs one cycle and returns
// its error.
func Run(ctx context.Context, options Options) error {
	life := &life{Options: options, pauses: poll.Backoff{Max: longestPause, Random: options.Random}}
	defer life.end()
	return poll.Loop(ctx, poll.Options{
		Interval: options.Interval, Once: options.Once, Next: life.next, Wake: options.Wake, Failed: life.failed,
	}, life.cycle)
}

// A life is a run: its registry, and how it fails.
//
// It has many fields because each option is one.
type life struct {
	Options
	hub     *Hub
	started bool

	pauses poll.Backoff
	pause  time.Duration // until the next attempt; 0 after a success
	logged string        // the failure that was logged last; "" without one
}

func (l *life) cycle(ctx context.Context) error {
	if err := l.attach(ctx); err != nil {
		return l.recommend(err)
	}
	for _, view := range l.hub.views {
		view.Begin()
	}
	if err := l.Cycle(ctx, l.hub); err != nil {
		return l.recommend(err)
	}
	if l.logged != "" {
		l.Log.Info("the registry answers again", "tries", l.pauses.Failures())
		l.logged = ""
	}
	l.pauses.Reset()
	l.pause = 0
	return nil
}

// recommend sets the custodian's name in the remedy for a view without a custodian. The registry does not know it.
func (l *life) recommend(err error) error {
	var refused *registry.Error
	if l.Custodian == "" || !errors.As(err, &refused) || !errors.Is(refused.Kind, registry.ErrNoCustodian) {
		return err
	}
	better := *refused
	better.Remedy = "snap connect " + l.Custodian + ":" + refused.View.View
	return &better
}

func (l *life) attach(ctx context.Context) error {
	if l.hub == nil {
		reg, err := l.Open(ctx)
		if err != nil {
			return err
		}
		l.hub = &Hub{Registry: reg}
	}
	if l.started {
		return nil
	}
	status, err := l.hub.Status(ctx)
	if err != nil {
		return err
	}
	l.hub.Capabilities, l.hub.slot = status.Capabilities, l.FirstSlot
	if !l.Once {
		if l.logged == "" {
			for _, warning := range status.Warnings {
				l.Log.Warn("registry warning", "warning", warning)
			}
		}
		l.hub.Watching = status.Capabilities.WatchPushed || status.Capabilities.Hooks
	}
	if l.Start != nil {
		if err := l.Start(ctx, l.hub); err != nil {
			l.hub.release()
			return err
		}
	}
	l.started = true
	return nil
}

// failed sets the pause, and logs a failure that differs from the last one.
func (l *life) failed(err error) {
	now := signature(err)
	news := now != l.logged
	if news {
		l.pauses.Reset() // an administrator is at work: one plug is connected, the next is not yet
	}
	l.pause = l.pauses.Next()
	if !news {
		return
	}
	l.logged = now
	if registry.IsNotReady(err) {
		l.Log.Warn("waiting for the registry", "error", err)
	} else {
		l.Log.Error("cycle failed", "error", err)
	}
}

func (l *life) next() time.Duration {
	switch {
	case l.pause > 0:
		return l.pause
	case l.Next != nil:
		return l.Next()
	}
	return 0
}

func (l *life) end() {
	if l.hub == nil {
		return
	}
	l.hub.release()
	if err := l.hub.Close(); err != nil {
		l.Log.Warn("closing the registry failed", "error", err)
	}
}

// signature returns the part of a failure that its repetitions share. It excludes the time until which a call waited.
func signature(err error) string {
	var refused *registry.Error
	if !errors.As(err, &refused) || refused.Kind == nil {
		return err.Error()
	}
	return refused.Kind.Error() + " " + refused.View.String() + " " + cmp.Or(refused.Remedy, refused.Reason)
}

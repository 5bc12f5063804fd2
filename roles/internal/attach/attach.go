// Package attach keeps a role attached to its registry: it opens it, runs the role's cycles, and where an access fails
// tells once why and what mends it, waits with growing pauses, and carries on by itself.
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

// Options describe a role's life. Log, Open, Interval and Cycle must be set.
type Options struct {
	Log      *slog.Logger
	Open     func(ctx context.Context) (*registry.Registry, error)
	Once     bool          // one cycle, with its error
	Interval time.Duration // between cycles

	// Start, if set, is called with the registry before the first cycle, and again after it failed.
	Start func(ctx context.Context, hub *Hub) error
	// Cycle is what the role does again and again.
	Cycle func(ctx context.Context, hub *Hub) error

	// Next and Wake are those of poll.Options; Next is not asked after a cycle that failed.
	Next func() time.Duration
	Wake <-chan struct{}

	// FirstSlot is the slot of the first view that is kept by hints, the next one's is the one behind; see kept.Hinted.
	FirstSlot int
	// Custodian is the snap to recommend where a view has none.
	Custodian string

	// Random makes the jitter of pauses; nil means math/rand/v2.
	Random func() float64
}

// A Hub is the open registry, and the views that are kept of it.
type Hub struct {
	*registry.Registry
	// Watching tells that views are watched, not read in each cycle: changes are announced, and there is more than one
	// cycle to come.
	Watching bool
	// Capabilities are the registry's.
	Capabilities registry.Capabilities

	views []*kept.View
	slot  int // of the next view that is kept by hints
}

// Keep returns a view that is read again only when somebody changed it, or in each cycle where nobody would tell. It is
// released when the role ends. If changed is not nil it is called after each change that is announced, from another
// goroutine.
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
			view, err = kept.New(h.View(name)), nil // late is better than not at all
		}
	}
	if err != nil {
		return nil, err
	}
	h.views = append(h.views, view)
	return view, nil
}

// KeepSupplied is Keep for a view whose values a load-view hook may supply to readers. Nobody tells of changes of those,
// so where there are hooks it is read again when it is asked for and the last read is as old as lasts, or nearly so.
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

// The longest pause between two tries: an administrator who has just mended something waits at most this long.
const longestPause = time.Minute

// Run opens the registry and runs cycles until ctx ends (nil then), or one with its error.
func Run(ctx context.Context, options Options) error {
	life := &life{Options: options, pauses: poll.Backoff{Max: longestPause, Random: options.Random}}
	defer life.end()
	return poll.Loop(ctx, poll.Options{
		Interval: options.Interval, Once: options.Once, Next: life.next, Wake: options.Wake, Failed: life.failed,
	}, life.cycle)
}

type life struct {
	Options
	hub     *Hub
	started bool

	pauses poll.Backoff
	pause  time.Duration // until the next try; 0 after a success
	told   string        // what was logged about the failure that lasts; "" when all is well
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
	if l.told != "" {
		l.Log.Info("the registry answers again", "tries", l.pauses.Failures())
		l.told = ""
	}
	l.pauses.Reset()
	l.pause = 0
	return nil
}

// recommend puts the custodian's name into the remedy for a view without one, which the registry cannot know.
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
		if l.told == "" {
			for _, warning := range status.Warnings {
				l.Log.Warn("the registry warns", "warning", warning)
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

// failed logs a failure when it is another than the last one, and decides how long to wait.
func (l *life) failed(err error) {
	told := signature(err)
	news := told != l.told
	if news {
		l.pauses.Reset() // somebody is about to mend it: one plug is connected, the next is not yet
	}
	l.pause = l.pauses.Next()
	if !news {
		return
	}
	l.told = told
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

// signature is what two reports of one lasting failure have in common: the moment until which something was waited for
// is not part of it.
func signature(err error) string {
	var refused *registry.Error
	if !errors.As(err, &refused) || refused.Kind == nil {
		return err.Error()
	}
	return refused.Kind.Error() + " " + refused.View.String() + " " + cmp.Or(refused.Remedy, refused.Reason)
}

// Package kept stores what a view shows and reads the view again only after a change: on a real snapd an access costs
// more than everything else in a cycle. Its main type is View. Package registry detects the changes.
//
//	telemetry, err := kept.Watch(ctx, reg.View(network.ControlTelemetryView), nil)
//	defer telemetry.Close()
//	document, err := telemetry.Get(ctx) // reads the first time and after a change
//
// If changes are not announced (Capabilities.WatchPushed is false), a watch costs more than it saves. Then use Hinted
// if hooks announce changes (Capabilities.Hooks), else New; call Begin at the start of each cycle.
package kept

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"aspects-poc/registry"
)

// A View is a stored document of a view. One goroutine calls its methods.
type View struct {
	view    *registry.View
	changed func()             // called after each change; may be nil
	stop    context.CancelFunc // ends the watch; nil without a watch
	done    chan struct{}      // closed when the watch has ended; nil without a watch

	lasts time.Duration // how long a read is valid without a watch
	read  time.Time     // time of the last read

	mu      sync.Mutex // guards the next two
	fresh   bool       // the fields below are valid
	changes int        // number of calls of Forget

	requests []string
	document map[string]any
	err      error // nil or ErrNoData
}

// New returns a View that is read once between two calls of Begin.
func New(view *registry.View) *View { return &View{view: view} }

// Lasting returns a View for which Begin causes a read when the last read is as old as lasts. Nine tenths of lasts are
// enough, so that a caller with the same period does not miss its read by a moment.
func Lasting(view *registry.View, lasts time.Duration) *View {
	return &View{view: view, lasts: lasts - lasts/10}
}

// Watch returns a View that is read once and then after changes, until ctx ends or it is closed. changed, if not nil,
// is called after each change, in another goroutine.
func Watch(ctx context.Context, view *registry.View, changed func()) (*View, error) {
	ctx, stop := context.WithCancel(ctx)
	events, err := view.Watch(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	v := &View{view: view, changed: changed, stop: stop, done: make(chan struct{})}
	go v.follow(events)
	return v, nil
}

// Slots is the number of minutes over which the regular reads of hinted views are spread.
const Slots = 15

// Hinted returns a View that is read once and then after hints, until ctx ends or it is closed. A hint can get lost,
// so the View is also read every Slots minutes, in the minute of its slot. Independent processes thus read at
// different times. changed is called as for Watch, and before a regular read.
func Hinted(ctx context.Context, view *registry.View, slot int, changed func()) (*View, error) {
	ctx, stop := context.WithCancel(ctx)
	hints, err := view.Hints(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	v := &View{view: view, changed: changed, stop: stop, done: make(chan struct{})}
	go v.heed(hints, slot)
	return v, nil
}

func (v *View) heed(hints <-chan struct{}, slot int) {
	defer close(v.done)
	timer := time.NewTimer(untilSlot(time.Now(), slot))
	defer timer.Stop()
	for {
		select {
		case _, open := <-hints:
			if !open {
				return
			}
		case <-timer.C:
			timer.Reset(untilSlot(time.Now(), slot))
		}
		v.Forget()
		if v.changed != nil {
			v.changed()
		}
	}
}

// untilSlot returns the time until the slot's next minute.
func untilSlot(now time.Time, slot int) time.Duration {
	const round = Slots * time.Minute
	next := now.Truncate(round).Add(time.Duration(slot%Slots) * time.Minute)
	if !next.After(now) {
		next = next.Add(round)
	}
	return next.Sub(now)
}

func (v *View) follow(events <-chan registry.Event) {
	defer close(v.done)
	for event := range events {
		v.Forget()
		// An interruption is no change, though changes may be missed during it.
		if event.Err == nil && v.changed != nil {
			v.changed()
		}
	}
}

// Begin starts a cycle. Without a watch, the next Get reads the view unless the last read is still valid.
func (v *View) Begin() {
	if v.done == nil {
		if time.Since(v.read) >= v.lasts {
			v.Forget()
		}
		return
	}
	select {
	case <-v.done: // the watch has ended: behave as without one
		v.Forget()
	default:
	}
}

// Forget makes the next Get read. Call it after a write.
func (v *View) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fresh = false
	v.changes++
}

// Mark returns a mark for Put. Call it before a write.
func (v *View) Mark() (mark int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changes
}

// Put stores what the requests show after the caller's write; nil means no data. It does nothing if something else
// has changed since Mark.
func (v *View) Put(mark int, document map[string]any, requests ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changes != mark {
		return
	}
	v.fresh, v.requests, v.document, v.err = true, slices.Clone(requests), document, nil
	if len(document) == 0 {
		v.document, v.err = nil, registry.ErrNoData
	}
}

// Get is registry.View.Get with a stored result if nothing has changed. Do not modify the result.
func (v *View) Get(ctx context.Context, requests ...string) (map[string]any, error) {
	v.mu.Lock()
	fresh := v.fresh && slices.Equal(v.requests, requests)
	v.fresh = true // before the read, so that a change during the read counts
	v.mu.Unlock()
	if fresh {
		return v.document, v.err
	}
	v.read = time.Now()
	document, err := v.view.Get(ctx, requests...)
	if err != nil && !errors.Is(err, registry.ErrNoData) {
		v.Forget()
		return nil, err
	}
	v.requests, v.document, v.err = slices.Clone(requests), document, err
	return document, err
}

// Read is Get into the struct or map that dst points to, matched by json tags.
func (v *View) Read(ctx context.Context, dst any, requests ...string) error {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return err
	}
	return registry.Decode(document, dst)
}

// Close ends the watch, if any, and waits for it.
func (v *View) Close() {
	if v.stop != nil {
		v.stop()
		<-v.done
	}
}

// Package kept holds what a view shows, and reads it again only after somebody changed it: on a real snapd each access
// costs more than all the rest of a role's cycle.
//
//	telemetry, err := kept.Watch(ctx, reg.View(network.ControlTelemetryView), nil)
//	defer telemetry.Close()
//	document, err := telemetry.Get(ctx) // the first time, and after a change
//
// Where changes are not announced but found by reading (Capabilities.WatchPushed is false), a watch would cost more than
// it saves: use Hinted where hooks leave word (Capabilities.Hooks), else New, and Begin at the start of each cycle.
package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"aspects-poc/registry"
)

// A View is one view's document as it was when somebody last changed it. Its methods are for one goroutine.
type View struct {
	view    *registry.View
	changed func()             // told of each change; may be nil
	stop    context.CancelFunc // ends the watch; nil without one
	done    chan struct{}      // closed when the watch has ended; nil without one

	lasts time.Duration // of a view that nobody tells of
	read  time.Time     // when that was read

	mu      sync.Mutex // guards the next two
	fresh   bool       // the fields below are what the view shows
	changes int        // how often Forget was called

	requests []string
	document map[string]any
	err      error // nil or ErrNoData
}

// New returns a view that is read once between two calls of Begin.
func New(view *registry.View) *View { return &View{view: view} }

// Lasting returns a view that is read again when Begin finds the last read as old as lasts. A tenth less will do, so that
// one who comes just as often is not put off to the next time for a moment.
func Lasting(view *registry.View, lasts time.Duration) *View {
	return &View{view: view, lasts: lasts - lasts/10}
}

// Watch returns a view that is read once and then after changes only, until ctx ends or it is closed. If changed is not
// nil it is called after each change, from another goroutine.
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

// Slots is how many views can be read for safety without two of them being read in the same minute.
const Slots = 15

// Hinted returns a view that is read once and then when hooks have left word of a change, until ctx ends or it is closed.
// As word can get lost it is read for safety, too: every Slots minutes, in the minute of the hour that the slot says, so
// that processes that know nothing of each other don't do it together. Changed is called as for Watch, and before a read
// for safety.
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

// untilSlot returns how long it is until the slot's next minute begins.
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
		// Of an interruption nobody need be told, though nobody knows what changes during it.
		if event.Err == nil && v.changed != nil {
			v.changed()
		}
	}
}

// Begin starts a cycle: without a watch, the view is to be read again if it does not last.
func (v *View) Begin() {
	if v.done == nil {
		if time.Since(v.read) >= v.lasts {
			v.Forget()
		}
		return
	}
	select {
	case <-v.done: // the watch has ended: read as if there were none
		v.Forget()
	default:
	}
}

// Forget makes the next Get read, for callers who have just written.
func (v *View) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fresh = false
	v.changes++
}

// Mark begins a write of the caller's own, whose outcome Put takes over.
func (v *View) Mark() (mark int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changes
}

// Put takes over what the requests show after a write, nil for no data, unless something else has changed since the mark.
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

// Get is registry.View.Get, answered from memory while nothing has changed. The answer must not be modified.
func (v *View) Get(ctx context.Context, requests ...string) (map[string]any, error) {
	v.mu.Lock()
	fresh := v.fresh && slices.Equal(v.requests, requests)
	v.fresh = true // before the read, so that a change during it counts as one after it
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

// Read is Get into a struct or map that dst points to, by its json tags.
func (v *View) Read(ctx context.Context, dst any, requests ...string) error {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return err
	}
	return Decode(document, dst)
}

// Close ends the watch and waits for it. It may be called on a view without one.
func (v *View) Close() {
	if v.stop != nil {
		v.stop()
		<-v.done
	}
}

// Decode fills what dst points to from a view's document, by json tags.
func Decode(document map[string]any, dst any) error {
	text, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(text, dst)
	}
	if err != nil {
		return fmt.Errorf("cannot read into %T: %w", dst, err)
	}
	return nil
}

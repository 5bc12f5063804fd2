// Package kept holds what a view shows, and reads it again only after somebody changed it: on a real snapd each access
// costs more than all the rest of a role's cycle.
//
//	telemetry, err := kept.Watch(ctx, reg.View(network.ControlTelemetryView), nil)
//	defer telemetry.Close()
//	document, err := telemetry.Get(ctx) // the first time, and after a change
//
// Where changes are not announced but found by reading (Capabilities.WatchPushed is false), a watch would cost more than
// it saves: use New, and Begin at the start of each cycle.
package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aspects-poc/registry"
)

// A View is one view's document as it was when somebody last changed it. Its methods are for one goroutine.
type View struct {
	view    *registry.View
	changed func()             // told of each change; may be nil
	stop    context.CancelFunc // ends the watch; nil without one
	done    chan struct{}      // closed when the watch has ended; nil without one

	mu    sync.Mutex // guards fresh
	fresh bool       // the fields below are what the view shows

	requests []string
	document map[string]any
	err      error // nil or ErrNoData
}

// New returns a view that is read once between two calls of Begin.
func New(view *registry.View) *View { return &View{view: view} }

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

// Begin starts a cycle: without a watch, the view is to be read again.
func (v *View) Begin() {
	if v.done == nil {
		v.Forget()
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

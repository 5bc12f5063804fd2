package snapctl

import (
	"context"
	"errors"
	"slices"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// A watch is one reader that waits for changes of a view. Snapd tells apps and services nothing, so it reads the whole
// view now and then, and at once when it is nudged.
type watch struct {
	view   backend.ViewID
	nudged chan struct{} // holds one token: nudges that come while a read is under way are one
}

// Watch reads the view every WatchEvery and after each nudge, and sends an Event when what it shows has changed. When
// reading fails for something that time or an administrator can mend, the Event has Err set, and another one without
// it follows when it is mended; other failures of the first read are returned.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	request, _, err := b.request("watch", view, nil)
	if err != nil {
		return nil, err
	}
	ctx, done, err := b.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	w := &watch{view: view, nudged: make(chan struct{}, 1)}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		done()
		_, _, err := b.begin(ctx, request)
		return nil, err
	}
	b.watches[w] = struct{}{} // before the first read, so that no nudge is missed
	b.running.Add(1)
	_ = b.hear() // told by Status; polling still works: a service must not stand still for want of speed
	b.mu.Unlock()
	end := func() {
		b.mu.Lock()
		delete(b.watches, w)
		b.mu.Unlock()
		done()
		b.running.Done()
	}
	shown, err := b.document(ctx, view)
	if err != nil && (!mendable(err) || ctx.Err() != nil) {
		end()
		return nil, b.relabel(err, request)
	}
	events := make(chan backend.Event, 1)
	go func() {
		defer end()
		defer close(events)
		b.poll(ctx, w, request, events, shown, err)
	}()
	return events, nil
}

// firstRetry is the pause after the first failed read; it doubles up to WatchEvery.
const firstRetry = time.Second

func (b *Backend) poll(
	ctx context.Context, w *watch, request snapdhttp.Request, events chan<- backend.Event, shown map[string]any, failed error,
) {
	tell := func(event backend.Event) bool {
		select {
		case events <- event:
			return true
		case <-ctx.Done():
			return false
		}
	}
	retry := firstRetry
	if failed != nil && !tell(backend.Event{View: w.view, Err: b.relabel(failed, request)}) {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		every := b.options.WatchEvery
		if failed != nil {
			every = min(retry, every)
			retry *= 2
		}
		timer.Reset(every)
		select {
		case <-timer.C:
		case <-w.nudged:
		case <-ctx.Done():
			return
		}
		now, err := b.document(ctx, w.view)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if news := failed == nil || failed.Error() != err.Error(); news {
				if !tell(backend.Event{View: w.view, Err: b.relabel(err, request)}) {
					return
				}
			}
			failed = err
			continue
		}
		if failed != nil || !backend.Equal(shown, now) {
			if !tell(backend.Event{View: w.view}) {
				return
			}
		}
		shown, failed, retry = now, nil, firstRetry
	}
}

// document returns what a view shows, which is empty for no data.
func (b *Backend) document(ctx context.Context, view backend.ViewID) (map[string]any, error) {
	values, err := b.get(ctx, view, nil, nil, "")
	if errors.Is(err, backend.ErrNoData) {
		return map[string]any{}, nil
	}
	return values, err
}

// mendable tells failures that may pass from those that are the caller's mistake.
func mendable(err error) bool {
	for _, kind := range []error{
		backend.ErrNoCustodian, backend.ErrNotConnected, backend.ErrDisabled, backend.ErrNoSchema,
		backend.ErrUnreachable, backend.ErrBusy, backend.ErrOther,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// heard passes on word that hooks left.
func (b *Backend) heard(views ...string) {
	b.Nudge(views...)
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.hints {
		if len(views) == 0 || slices.Contains(views, h.view.View) {
			select {
			case h.c <- struct{}{}:
			default: // one is waiting
			}
		}
	}
}

// Nudge has watches read at once: those of the named views ("control-tunnel"), or all of them.
func (b *Backend) Nudge(views ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.watches {
		named := len(views) == 0
		for _, view := range views {
			named = named || view == w.view.View
		}
		if !named {
			continue
		}
		select {
		case w.nudged <- struct{}{}:
		default: // it will read anyway
		}
	}
}

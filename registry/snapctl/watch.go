package snapctl

import (
	"context"
	"slices"

	"aspects-poc/registry/backend"
)

// Watch reads the view once, again every WatchEvery and after each nudge, and sends an Event when what it shows has
// changed: snapd tells apps and services nothing. All watches of a view share its reads. When reading fails for something
// that time or an administrator can mend, the Event has Err set, and another one without it follows when it is mended;
// other failures of the first read are returned.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	request, _, err := b.request("watch", view, nil)
	if err != nil {
		return nil, err
	}
	within, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	b.mu.Lock()
	_ = b.hear() // told by Status; polling still works: a service must not stand still for want of speed
	b.mu.Unlock()
	events, err := b.watches.Watch(ctx, within, view)
	return events, call.Explain(err)
}

// document returns what a view shows, which is ErrNoData for nothing.
func (b *Backend) document(ctx context.Context, view backend.ViewID) (map[string]any, error) {
	return b.get(ctx, view, nil, nil, "")
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
	b.watches.Due(func(view backend.ViewID) bool { return len(views) == 0 || slices.Contains(views, view.View) })
}

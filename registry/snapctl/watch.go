package snapctl

import (
	"context"
	"slices"

	"aspects-poc/registry/backend"
)

// Watch reads the view once, then every WatchEvery and after each nudge, and sends an Event when the result differs.
// snapd announces no changes to apps and services. All watches of a view share its reads. If a read fails with an
// error that time or an administrator can solve, Watch sends an Event with Err set, and one without Err after the
// next successful read. Watch returns other errors of the first read.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	request, _, err := b.options.request("watch", view, nil)
	if err != nil {
		return nil, err
	}
	within, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	_ = b.pokes.listen() // Status reports the error; the watch then only polls
	events, err := b.watches.Watch(ctx, within, view)
	return events, call.Explain(err)
}

// document returns what a view shows. The error is ErrNoData if it shows nothing.
func (b *Backend) document(ctx context.Context, view backend.ViewID) (map[string]any, error) {
	return b.get(ctx, view, nil, nil, "")
}

// Nudge makes watches read at once: those of the named views ("control-tunnel"), or all if none is named.
func (b *Backend) Nudge(views ...string) {
	b.watches.Due(func(view backend.ViewID) bool { return len(views) == 0 || slices.Contains(views, view.View) })
}

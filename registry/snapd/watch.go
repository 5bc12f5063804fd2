package snapd

import (
	"context"
	"time"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/internal/watching"
	"aspects-poc/registry/backend"
)

// Watch reads the view once and then sends an Event when what it shows has changed.
//
// snapd does not announce what a view shows, but it announces the end of each of its changes, and each write is such a
// change. All watches share one open request for these notices, which costs snapd nothing. After a change that wrote to
// a confdb-schema, each watched view of that schema is read and compared, once per batch of changes. A notice can be
// missed (a clock set back), so each watched view is also read every Options.WatchEvery.
//
// One Event can report several changes. A channel keeps up to 16 Events.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	request := snapdhttp.Request{Op: "watch", View: view}
	within, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	if err := view.Check(); err != nil {
		return nil, call.Explain(err)
	}
	if _, err := b.generation(within, request); err != nil {
		return nil, call.Explain(err)
	}
	events, err := b.watches.Watch(ctx, within, view)
	return events, call.Explain(err)
}

func (b *Backend) newWatches() *watching.Watches {
	return watching.New(b.life, watching.Options{
		Read: func(ctx context.Context, view backend.ViewID) (map[string]any, error) {
			return b.read(ctx, snapdhttp.Request{Op: "watch", View: view}, nil)
		},
		Every:     func() time.Duration { return b.watchEvery(b.isAnnounced()) },
		Retry:     b.watchEvery(false),
		Begin:     b.assumeAnnounced,
		Alongside: b.listen,
		Now:       func() time.Time { return b.now() },
	})
}

func (b *Backend) watchEvery(announced bool) time.Duration {
	switch {
	case b.options.WatchEvery > 0:
		return b.options.WatchEvery
	case announced:
		return announcedWatchEvery
	default:
		return defaultWatchEvery
	}
}

// assumeAnnounced assumes that changes are announced if snapd was seen; listen corrects it.
func (b *Backend) assumeAnnounced() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announced = b.found != nil && b.found.generation.name != ""
}

// wrote makes the watched views of a confdb-schema due after a write of this Backend, unless snapd announces it.
func (b *Backend) wrote(view backend.ViewID) {
	if !b.isAnnounced() {
		b.due(view.Account, view.Schema)
	}
}

// due makes the watched views of a confdb-schema due, or all if account is empty.
func (b *Backend) due(account, schema string) {
	b.watches.Due(func(view backend.ViewID) bool {
		return account == "" || view.Account == account && view.Schema == schema
	})
}

func (b *Backend) isAnnounced() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.announced
}

// announces records whether snapd announces changes. When that ends, views are read at the shorter interval.
func (b *Backend) announces(announced bool) {
	b.mu.Lock()
	other := b.announced != announced
	b.announced = announced
	b.mu.Unlock()
	if other {
		b.watches.Hasten()
	}
}

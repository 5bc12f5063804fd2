package snapd

import (
	"context"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/internal/watching"
)

// Watch reads the view once, and from then on tells when what it shows has changed.
//
// snapd has no such service. But it announces the end of each change, and each write is one. One request for these
// notices is held open, however many watches there are, and it costs snapd nothing. After a change that wrote to the
// confdb-schema every watched view of that schema is read, once per view and batch of changes, and compared. Since an
// announcement can be missed (a clock set back) each watched view is read every Options.WatchEvery as well: while
// nothing is written that is all a watch costs.
//
// Changes that follow each other quickly may be told by one event, and a channel that nobody receives from keeps 16.
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
	if _, err := b.dialect(within, request); err != nil {
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
		Begin:     b.hope,
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

// hope takes changes for announced where snapd was seen; listen finds out.
func (b *Backend) hope() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announced = b.found != nil && b.found.dialect.name != ""
}

// wrote has the watched views of a confdb-schema read after a write of our own, unless snapd announces it.
func (b *Backend) wrote(view backend.ViewID) {
	if !b.isAnnounced() {
		b.due(view.Account, view.Schema)
	}
}

// due has the views of a confdb-schema read at once; with an empty account those of all.
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

// announces notes whether changes are announced. When that ends the views are read at the shorter interval.
func (b *Backend) announces(announced bool) {
	b.mu.Lock()
	other := b.announced != announced
	b.announced = announced
	b.mu.Unlock()
	if other {
		b.watches.Hasten()
	}
}

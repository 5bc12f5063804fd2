package snapd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// Watch reads the view once, and from then on tells when what it shows has changed.
//
// snapd has no such service. From 2.67 on it does announce the end of each change, and each write is one; so one
// request for these notices is held open, however many watches there are, and it costs snapd nothing. After a change
// that wrote to the confdb-schema every watched view of that schema is read, once per view and batch of changes, and
// compared. Since an announcement can be missed (a clock set back, a write before 2.67) each watched view is read
// every Options.WatchEvery as well: while nothing is written that is all a watch costs.
//
// Changes that follow each other quickly may be told by one event, and a channel that nobody receives from keeps 16.
func (b *Backend) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	request := snapdhttp.Request{Op: "watch", View: view}
	call, end, err := b.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := checkView(request); err != nil {
		return nil, err
	}
	d, err := b.dialect(call, request)
	if err != nil {
		return nil, err
	}
	return b.watches.add(ctx, call, view, d.announced)
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

// keptEvents is how many events wait for a slow receiver. More would tell it nothing new: each means to read again.
const keptEvents = 16

// watches are all watches of a backend.
type watches struct {
	backend *Backend

	mu      sync.Mutex // guards what follows
	views   map[backend.ViewID]*watched
	session *session // nil while there are no watches
}

// A session is the two goroutines that work while there are watches: one listens, one reads.
type session struct {
	stop      func()
	wake      chan struct{} // has an entry when due views wait
	announced bool          // changes are announced at the moment
}

// A watched view is read for all of its watches together.
type watched struct {
	view backend.ViewID
	turn turn // held while it is read and compared

	// Guarded by watches.mu.
	events map[chan backend.Event]struct{}
	users  int       // watches, those that are just beginning too
	next   time.Time // when it is to be read again
	failed string    // the error that was told last; "" when it could be read

	// Guarded by turn.
	seen    [sha256.Size]byte // of what it showed last; zero before the first time
	retries pauses
}

// add starts a watch. It ends with ctx; call is the context of the call to Watch.
func (w *watches) add(ctx, call context.Context, view backend.ViewID, announced bool) (<-chan backend.Event, error) {
	// From here on changes are listened for; so what is read now is what the next event is compared with. If others
	// watch the view already they learn of what this read finds.
	entry := w.enter(view, announced)
	events := make(chan backend.Event, keptEvents)
	if err := w.look(call, entry, events); err != nil && (call.Err() != nil || lasting(err)) {
		w.leave(entry, events)
		return nil, err
	}
	// Another error may be mended: the watch begins interrupted.
	b := w.backend
	b.active.Go(func() { // Watch is in begin, so Close has not waited yet
		select {
		case <-ctx.Done():
		case <-b.closed:
		}
		w.leave(entry, events)
	})
	return events, nil
}

// lasting tells that a watch that begins with this error is not worth beginning.
func lasting(err error) bool {
	kinds := []error{
		backend.ErrNoView, backend.ErrNoMatch, backend.ErrUnauthorized, backend.ErrBadRequest, backend.ErrUnsupported,
	}
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// enter notes that a view is going to be watched, and starts to listen if it is the first. Each enter needs a leave.
func (w *watches) enter(view backend.ViewID, announced bool) *watched {
	b := w.backend
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.session == nil {
		ctx, cancel := context.WithCancel(context.Background()) // ends with the last watch, thus with Close
		s := &session{stop: cancel, wake: make(chan struct{}, 1), announced: announced}
		w.session, w.views = s, map[backend.ViewID]*watched{}
		since := b.now()
		b.active.Go(func() { w.readDue(ctx, s) })
		if announced {
			b.active.Go(func() { w.listen(ctx, s, since) })
		}
	}
	entry := w.views[view]
	if entry == nil {
		entry = &watched{
			view: view, turn: newTurn(), events: map[chan backend.Event]struct{}{},
			next: b.now().Add(b.watchEvery(announced)),
		}
		w.views[view] = entry
	}
	entry.users++
	return entry
}

// leave ends a watch.
func (w *watches) leave(entry *watched, events chan backend.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(entry.events, events)
	close(events)
	entry.users--
	if entry.users == 0 {
		delete(w.views, entry.view)
	}
	if len(w.views) == 0 {
		w.session.stop()
		w.session = nil
	}
}

// wrote has the watched views of a confdb-schema read after a write of our own, unless snapd announces it.
func (w *watches) wrote(view backend.ViewID) {
	w.mu.Lock()
	s := w.session
	w.mu.Unlock()
	if s != nil && !w.isAnnounced(s) {
		w.due(s, view.Account, view.Schema)
	}
}

func (w *watches) isAnnounced(s *session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.announced
}

// announces notes whether changes are announced. When that ends the views are read at the shorter interval.
func (w *watches) announces(s *session, announced bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.announced == announced {
		return
	}
	s.announced = announced
	latest := w.backend.now().Add(w.backend.watchEvery(announced))
	for _, entry := range w.views {
		if entry.next.After(latest) {
			entry.next = latest
		}
	}
	s.poke()
}

// due has the views of a confdb-schema read at once; with an empty account those of all.
func (w *watches) due(s *session, account, schema string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.session != s {
		return
	}
	now := w.backend.now()
	for view, entry := range w.views {
		if account == "" || view.Account == account && view.Schema == schema {
			entry.next = now
		}
	}
	s.poke()
}

func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look at all of them anyway
	}
}

// readDue reads views when their time has come, one after the other: there is no hurry, and snapd has other work.
func (w *watches) readDue(ctx context.Context, s *session) {
	for {
		entry, pause := w.soonest(s)
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-s.wake:
			case <-ctx.Done():
			}
			timer.Stop()
			if ctx.Err() != nil {
				return
			}
			continue
		}
		_ = w.look(ctx, entry, nil) // has told the watches what went wrong
		if ctx.Err() != nil {
			return
		}
	}
}

// soonest returns the view that is to be read next, and in how much time.
func (w *watches) soonest(s *session) (*watched, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var soonest *watched
	for _, entry := range w.views {
		if soonest == nil || entry.next.Before(soonest.next) {
			soonest = entry
		}
	}
	if soonest == nil || w.session != s {
		return nil, time.Hour // the session is about to end
	}
	return soonest, soonest.next.Sub(w.backend.now())
}

// look reads a view and tells its watches what is new: a change, or that it cannot be read, which it returns too. Then
// events, if not nil, becomes one of the watches; it is told of an error only.
func (w *watches) look(ctx context.Context, entry *watched, events chan backend.Event) error {
	b := w.backend
	request := snapdhttp.Request{Op: "watch", View: entry.view}
	if err := entry.turn.take(ctx); err != nil {
		return interrupted(request, err)
	}
	defer entry.turn.release()

	// Whatever is written after this moment makes the view due again.
	w.mu.Lock()
	entry.next = b.now().Add(b.watchEvery(w.session != nil && w.session.announced))
	w.mu.Unlock()

	values, err := b.read(ctx, request, nil)
	if errors.Is(err, backend.ErrNoData) {
		values, err = nil, nil
	}
	if ctx.Err() != nil {
		return interrupted(request, context.Cause(ctx))
	}
	var digest [sha256.Size]byte
	if err == nil {
		var text []byte
		text, err = json.Marshal(values) // sorted keys
		digest = sha256.Sum256(text)
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		again := b.now().Add(entry.retries.grownFrom(5*time.Second, b.watchEvery(false)))
		if entry.next.After(again) {
			entry.next = again
		}
		event := backend.Event{View: entry.view, Err: err}
		if entry.failed != err.Error() { // once is enough
			entry.failed = err.Error()
			entry.tell(event)
		}
		if events != nil {
			events <- event // there is room: nobody else knows it yet
		}
	} else {
		changed := entry.seen != digest && entry.seen != [sha256.Size]byte{}
		recovered := entry.failed != "" // whoever could not read may do so now
		entry.failed, entry.retries, entry.seen = "", pauses{}, digest
		if changed || recovered {
			entry.tell(backend.Event{View: entry.view})
		}
	}
	if events != nil {
		entry.events[events] = struct{}{}
	}
	if w.session != nil {
		w.session.poke() // the time of the next read may be another
	}
	return err
}

// tell sends an event to all watches of a view. Whoever has 16 waiting knows already that there is something to read.
func (entry *watched) tell(event backend.Event) {
	for events := range entry.events {
		select {
		case events <- event:
		default:
		}
	}
}

// grownFrom is grown for pauses that may be at their zero value.
func (p *pauses) grownFrom(first, limit time.Duration) time.Duration {
	if p.next == 0 {
		p.next = first
	}
	p.limit = limit
	return min(p.grown(), limit)
}

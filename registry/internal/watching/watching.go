// Package watching watches views that announce nothing by themselves: it reads them now and then, and when somebody says
// that they may have changed, and compares. All watches of a view share its reads, however many they are.
//
//	watches := watching.New(life, watching.Options{Read: b.document, Every: func() time.Duration { return time.Minute }})
//	events, err := watches.Watch(ctx, view)
//	watches.Due(func(view backend.ViewID) bool { return view.View == "control-tunnel" })
package watching

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/calls"
)

// Options say how views are read. Read and Every must be set.
type Options struct {
	// Read returns what a view shows; ErrNoData stands for nothing.
	Read func(ctx context.Context, view backend.ViewID) (map[string]any, error)

	// Every returns the pause between two reads of a view, as it is at the moment. See Watches.Hasten.
	Every func() time.Duration

	// Retry is the longest pause after a read that failed, if Every is longer; 0 means Every.
	Retry time.Duration

	// Begin, if not nil, is called before the first of the watches reads. It must not use the Watches.
	Begin func()

	// Alongside, if not nil, runs while there are watches, until its context ends: it may listen for word of changes, and
	// call Due. Since is a moment before the first read.
	Alongside func(ctx context.Context, since time.Time)

	// Now returns the time; nil means time.Now.
	Now func() time.Time
}

const (
	// kept is how many events wait for a slow receiver. More would tell it nothing new: each means to read again.
	kept = 16
	// firstRetry is the pause after the first read that failed. It grows by half each time.
	firstRetry = time.Second
)

// Watches are all watches of a backend. New makes them.
type Watches struct {
	life    *calls.Life
	options Options

	mu      sync.Mutex // guards what follows
	views   map[backend.ViewID]*watched
	session *session // nil while there are no watches
}

// A session is what works while there are watches: one goroutine that reads, and Options.Alongside.
type session struct {
	stop context.CancelFunc
	wake chan struct{} // has an entry when it is to be looked for what is due
}

// A watched view is read for all of its watches together.
type watched struct {
	view backend.ViewID
	turn chan struct{} // holds a token while it is read and compared

	// Guarded by Watches.mu.
	events map[chan backend.Event]struct{}
	users  int       // watches, those that are just beginning too
	next   time.Time // when it is to be read again
	failed string    // the error that was told last; "" when it could be read

	// Guarded by turn.
	seen  [sha256.Size]byte // of what it showed last; zero before the first time
	retry time.Duration     // the next pause after a failure; 0: firstRetry
}

// New returns Watches without a watch. They end with the life.
func New(life *calls.Life, options Options) *Watches {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Watches{life: life, options: options, views: map[backend.ViewID]*watched{}}
}

// Watch reads a view once, and from then on tells of changes until ctx ends. An error that time or an administrator may
// mend begins the watch interrupted; another one is returned. It is for use in a call, whose context is call: the watch
// itself lasts longer.
func (w *Watches) Watch(ctx, call context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	// From here on changes are listened for; so what is read now is what the next event is compared with. If others
	// watch the view already they learn of what this read finds.
	entry := w.enter(view)
	events := make(chan backend.Event, kept)
	if err := w.look(call, entry, events); err != nil && (call.Err() != nil || lasting(err)) {
		w.leave(entry, events)
		return nil, err
	}
	ctx, done := w.life.Watch(ctx)
	go func() {
		defer done()
		<-ctx.Done()
		w.leave(entry, events)
	}()
	return events, nil
}

// lasting tells that a watch that begins with this error is not worth beginning.
func lasting(err error) bool {
	kinds := []error{backend.ErrNoView, backend.ErrNoMatch, backend.ErrUnauthorized, backend.ErrBadRequest,
		backend.ErrUnsupported}
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// enter notes that a view is going to be watched, and begins a session if it is the first. Each enter needs a leave.
func (w *Watches) enter(view backend.ViewID) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.session == nil {
		w.begin()
	}
	entry := w.views[view]
	if entry == nil {
		entry = &watched{view: view, turn: make(chan struct{}, 1), events: map[chan backend.Event]struct{}{},
			next: w.options.Now().Add(w.options.Every())}
		w.views[view] = entry
	}
	entry.users++
	return entry
}

// begin begins a session. The caller holds mu, and is in a call.
func (w *Watches) begin() {
	ctx, cancel := context.WithCancel(context.Background()) // ends with the last watch, thus with Close
	s := &session{stop: cancel, wake: make(chan struct{}, 1)}
	w.session = s
	if w.options.Begin != nil {
		w.options.Begin()
	}
	since := w.options.Now()
	w.life.Go(func(context.Context) { w.readDue(ctx, s) })
	if w.options.Alongside != nil {
		w.life.Go(func(context.Context) { w.options.Alongside(ctx, since) })
	}
}

// leave ends a watch.
func (w *Watches) leave(entry *watched, events chan backend.Event) {
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

// Due has those of the watched views read at once that concern returns true for.
func (w *Watches) Due(concern func(view backend.ViewID) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.options.Now()
	for view, entry := range w.views {
		if concern(view) {
			entry.next = now
		}
	}
	w.session.poke()
}

// Hasten says that Options.Every may return less than before.
func (w *Watches) Hasten() {
	latest := w.options.Now().Add(w.options.Every())
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, entry := range w.views {
		if entry.next.After(latest) {
			entry.next = latest
		}
	}
	w.session.poke()
}

// poke has the reader look for what is due. A session that is nil has no reader.
func (s *session) poke() {
	if s == nil {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // it will look at all of them anyway
	}
}

// readDue reads views when their time has come, one after the other: there is no hurry, and snapd has other work.
func (w *Watches) readDue(ctx context.Context, s *session) {
	for ctx.Err() == nil {
		entry, pause := w.soonest(s)
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-s.wake:
			case <-ctx.Done():
			}
			timer.Stop()
			continue
		}
		_ = w.look(ctx, entry, nil) // has told the watches what went wrong
	}
}

// soonest returns the view that is to be read next, and in how much time.
func (w *Watches) soonest(s *session) (*watched, time.Duration) {
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
	return soonest, soonest.next.Sub(w.options.Now())
}

// look reads a view and tells its watches what is new: a change, or that it cannot be read, which it returns too. Then
// events, if not nil, becomes one of the watches; it is told of an error only.
func (w *Watches) look(ctx context.Context, entry *watched, events chan backend.Event) error {
	select {
	case entry.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-entry.turn }()

	// Whatever is written after this moment makes the view due again.
	next := w.options.Now().Add(w.options.Every())
	w.mu.Lock()
	entry.next = next
	w.mu.Unlock()

	digest, err := w.digest(ctx, entry.view)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		again := w.options.Now().Add(entry.pause(w.options))
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
		entry.failed, entry.retry, entry.seen = "", 0, digest
		if changed || recovered {
			entry.tell(backend.Event{View: entry.view})
		}
	}
	if events != nil {
		entry.events[events] = struct{}{}
	}
	w.session.poke() // the time of the next read may be another
	return err
}

// digest reads a view, and returns a digest of what it shows.
func (w *Watches) digest(ctx context.Context, view backend.ViewID) (digest [sha256.Size]byte, err error) {
	values, err := w.options.Read(ctx, view)
	if errors.Is(err, backend.ErrNoData) {
		values, err = nil, nil
	}
	if err != nil {
		return digest, relabel(err, view)
	}
	text, err := json.Marshal(values) // sorted keys
	return sha256.Sum256(text), err
}

// relabel turns the error of a read into that of a watch.
func relabel(err error, view backend.ViewID) error {
	var refused *backend.Error
	if !errors.As(err, &refused) {
		return err
	}
	copied := *refused
	copied.Op, copied.View, copied.Requests = "watch", view, nil
	return &copied
}

// pause returns how long to wait after a read that failed, more each time.
func (entry *watched) pause(o Options) time.Duration {
	limit := o.Every()
	if o.Retry > 0 {
		limit = min(limit, o.Retry)
	}
	pause := min(max(entry.retry, firstRetry), limit)
	entry.retry = min(pause*3/2, limit)
	return pause
}

// tell sends an event to all watches of a view. Whoever has enough waiting knows already that there is something to
// read.
func (entry *watched) tell(event backend.Event) {
	for events := range entry.events {
		select {
		case events <- event:
		default:
		}
	}
}

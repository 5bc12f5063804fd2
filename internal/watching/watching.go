// Package watching watches views in backends that do not announce changes. It reads a view at intervals, and at once
// when the backend calls Due, and compares the result with the previous one. All watches of a view share its reads.
// Its main type is Watches.
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

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

// Options are options of New. Read and Every are required.
type Options struct {
	// Read returns what a view shows. ErrNoData means that it shows nothing.
	Read func(ctx context.Context, view backend.ViewID) (map[string]any, error)

	// Every returns the current pause between two reads of a view. Call Watches.Hasten when it becomes shorter.
	Every func() time.Duration

	// Retry is the longest pause after a failed read if Every is longer; 0 means Every.
	Retry time.Duration

	// Begin, if not nil, runs before the first watch reads. It must not use the Watches.
	Begin func()

	// Alongside, if not nil, runs while there are watches. It returns when its context ends. It can listen for
	// announcements and call Due. Since is a moment before the first read.
	Alongside func(ctx context.Context, since time.Time)

	// Now returns the time; nil means time.Now.
	Now func() time.Time
}

const (
	// queueSize is how many events wait for a slow receiver. Each event means to read the view, so more would be of no use.
	queueSize = 16
	// firstRetry is the pause after the first failed read. It grows by half each time.
	firstRetry = time.Second
)

// Watches are all watches of a backend.
type Watches struct {
	life    *calls.Life
	options Options

	mu      sync.Mutex // guards what follows
	views   map[backend.ViewID]*watched
	session *session // nil while there are no watches
}

// A session is the work while there are watches: the goroutine that reads, and Options.Alongside.
type session struct {
	stop context.CancelFunc
	wake chan struct{} // holds a token if views may be due
}

// A watched view is read once for all its watches.
type watched struct {
	view backend.ViewID
	turn chan struct{} // holds a token during a read and its comparison

	// Guarded by Watches.mu.
	events map[chan backend.Event]struct{}
	users  int       // number of watches, including those that are about to begin
	next   time.Time // time of the next read
	failed string    // the last reported error; "" after a successful read

	// Guarded by turn.
	seen  [sha256.Size]byte // digest of the last read; zero before the first one
	retry time.Duration     // the next pause after a failed read; 0 means firstRetry
}

// New returns Watches without a watch. They end with the life.
func New(life *calls.Life, options Options) *Watches {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Watches{life: life, options: options, views: map[backend.ViewID]*watched{}}
}

// Watch reads a view once and then reports changes until ctx ends. If the read fails with an error that time or an
// administrator can solve, the watch begins with an event that has Err set; any other error is returned. Call Watch
// within a Call; call is the context of that Call.
func (w *Watches) Watch(ctx, call context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	// enter comes before the read, so that no change after the read is missed. If the read finds a change, the other
	// watches of the view get an event.
	entry := w.enter(view)
	events := make(chan backend.Event, queueSize)
	if err := w.check(call, entry, events); err != nil && (call.Err() != nil || lasting(err)) {
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

// lasting reports whether the error cannot go away during a watch.
func lasting(err error) bool {
	kinds := []error{backend.ErrNoView, backend.ErrNoMatch, backend.ErrUnauthorized, backend.ErrBadRequest,
		backend.ErrUnsupported}
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// enter registers a watch of a view. The first watch begins a session. Each enter needs a leave.
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

// begin begins a session. The caller holds mu and is within a Call.
func (w *Watches) begin() {
	ctx, cancel := context.WithCancel(context.Background()) // ends with the last watch, and so with Close
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

// leave removes a watch. The last one ends the session.
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

// Due makes the watched views for which concern returns true be read at once.
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

// Hasten applies a shorter Options.Every to reads that are already scheduled.
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

// poke wakes the reader. It does nothing for a nil session.
func (s *session) poke() {
	if s == nil {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // the reader is about to wake
	}
}

// readDue reads the due views one after the other, which spares snapd.
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
		_ = w.check(ctx, entry, nil) // check has reported the error to the watches
	}
}

// soonest returns the view to read next, and the time until then.
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

// check reads a view and sends an event to its watches if the view changed, became readable or became unreadable. It
// returns the error of the read. If events is not nil, check adds it to the watches after the read, and sends it only an error.
func (w *Watches) check(ctx context.Context, entry *watched, events chan backend.Event) error {
	select {
	case entry.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-entry.turn }()

	// Set before the read: a change after this moment makes the view due again.
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
		if entry.failed != err.Error() { // the same error is reported once
			entry.failed = err.Error()
			entry.send(event)
		}
		if events != nil {
			events <- event // does not block: the channel is new and has room
		}
	} else {
		changed := entry.seen != digest && entry.seen != [sha256.Size]byte{}
		recovered := entry.failed != "" // the receiver's own reads may succeed now
		entry.failed, entry.retry, entry.seen = "", 0, digest
		if changed || recovered {
			entry.send(backend.Event{View: entry.view})
		}
	}
	if events != nil {
		entry.events[events] = struct{}{}
	}
	w.session.poke() // the time of the next read may have changed
	return err
}

// digest reads a view and returns the digest of what it shows.
func (w *Watches) digest(ctx context.Context, view backend.ViewID) (digest [sha256.Size]byte, err error) {
	values, err := w.options.Read(ctx, view)
	if errors.Is(err, backend.ErrNoData) {
		values, err = nil, nil
	}
	if err != nil {
		return digest, relabel(err, view)
	}
	text, err := json.Marshal(values) // json.Marshal sorts keys
	return sha256.Sum256(text), err
}

// relabel turns the error of a read into one of a watch.
func relabel(err error, view backend.ViewID) error {
	var refused *backend.Error
	if !errors.As(err, &refused) {
		return err
	}
	copied := *refused
	copied.Op, copied.View, copied.Requests = "watch", view, nil
	return &copied
}

// pause returns how long to wait after a failed read. It grows with each call.
func (entry *watched) pause(o Options) time.Duration {
	limit := o.Every()
	if o.Retry > 0 {
		limit = min(limit, o.Retry)
	}
	pause := min(max(entry.retry, firstRetry), limit)
	entry.retry = min(pause*3/2, limit)
	return pause
}

// send sends an event to all watches of a view. It drops the event for a watch whose channel is full, since the events in
// the channel mean the same.
func (entry *watched) send(event backend.Event) {
	for events := range entry.events {
		select {
		case events <- event:
		default:
		}
	}
}

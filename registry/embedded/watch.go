package embedded

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

const (
	// pollEvery is the pause between two checks of the file if the kernel cannot report changes.
	pollEvery = time.Second
	// recheckEvery is the pause if it can: the kernel does not report what another machine does on a network file
	// system, and it drops events when there are too many.
	recheckEvery = 10 * time.Second
	// queueSize is how many events wait for a slow reader. If there are more, the oldest are dropped. Events carry no
	// data, so the latest ones are enough.
	queueSize = 1024
)

// watchers report commits to subscribers. While there is a subscriber, one goroutine checks the file when the kernel
// or a writer of this process reports a change.
type watchers struct {
	store  *store
	notify func() *fsnotify.Watcher // newNotify, except in tests
	slowly time.Duration            // recheckEvery, except in tests
	poked  chan struct{}            // holds a token after a commit of this process

	mu          sync.Mutex // guards what follows
	subscribers map[*subscriber]struct{}
	seen        *state // the state up to which all subscribers have their events
	trouble     string // current error of the file, reported once
	feed        *feed  // nil without subscribers
}

// feed is the running goroutine.
type feed struct {
	cancel context.CancelFunc
	done   chan struct{}
	notify *fsnotify.Watcher // nil: the file is checked every pollEvery
	// blind means that the folder does not exist and cannot be watched; the file is then checked every pollEvery.
	// Guarded by watchers.mu.
	blind bool
}

// polls returns the pause between two checks of the file if the kernel cannot report changes; otherwise 0. A folder
// that does not exist yet does not count, since it will be watched later.
func (w *watchers) polls() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.feed == nil || !w.feed.blind || w.store.file == nil {
		return 0
	}
	if st := w.store.current.Load(); w.feed.notify != nil && (st == nil || st.info == nil) {
		return 0
	}
	return pollEvery
}

// poke wakes the goroutine after a commit of this process. It never blocks.
func (w *watchers) poke() {
	select {
	case w.poked <- struct{}{}:
	default:
	}
}

// subscribe adds a subscriber. It gets every commit from now on.
func (w *watchers) subscribe(sub *subscriber) error {
	ended, err := w.add(sub)
	if ended != nil {
		<-ended.done
	}
	return err
}

// add adds a subscriber. On an error it may return a feed to wait for.
func (w *watchers) add(sub *subscriber) (ended *feed, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.feed == nil {
		w.start()
	}
	// Load after start, so that no commit is missed.
	st, err := w.store.load()
	if err != nil {
		if len(w.subscribers) == 0 {
			ended = w.stop()
		}
		return ended, err
	}
	w.advance(st) // first for the earlier subscribers: from here on seen holds for all
	w.subscribers[sub] = struct{}{}
	return nil, nil
}

// unsubscribe removes a subscriber. The last one waits for the goroutine.
func (w *watchers) unsubscribe(sub *subscriber) {
	w.mu.Lock()
	delete(w.subscribers, sub)
	var ended *feed
	if len(w.subscribers) == 0 && w.feed != nil {
		ended = w.stop()
	}
	w.mu.Unlock()
	if ended != nil {
		<-ended.done
	}
}

// start starts the goroutine. The caller holds mu.
func (w *watchers) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{cancel: cancel, done: make(chan struct{})}
	if w.store.file != nil {
		f.notify = w.notify()
		f.blind = f.notify == nil || f.notify.Add(w.store.file.dir()) != nil
	}
	w.feed, w.seen, w.trouble = f, nil, ""
	go w.run(ctx, f)
}

// stop ends the goroutine and returns its feed. The caller holds mu, and waits for the feed after releasing it.
func (w *watchers) stop() *feed {
	f := w.feed
	w.feed, w.seen = nil, nil
	f.cancel()
	return f
}

// newNotify returns nil if no inotify instance is left.
func newNotify() *fsnotify.Watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	return notify
}

// run checks the file whenever the kernel, a writer of this process or the ticker wakes it, until ctx ends.
func (w *watchers) run(ctx context.Context, f *feed) {
	defer close(f.done)
	var events chan fsnotify.Event
	var failures chan error
	if f.notify != nil {
		defer func() { _ = f.notify.Close() }() // only read
		events, failures = f.notify.Events, f.notify.Errors
	}
	var ticker *time.Ticker
	var tick <-chan time.Time
	if w.store.file != nil {
		ticker = time.NewTicker(w.pause(f))
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-events:
			if !open {
				events = nil
				continue
			}
			if event.Name != w.store.file.path {
				continue
			}
		case _, open := <-failures: // such as an overflow: check the file
			if !open {
				failures = nil
				continue
			}
		case <-w.poked:
		case <-tick:
			// The folder may exist by now or be a new one. The kernel forgets a removed folder, and ignores a request
			// for one that it watches already.
			w.listen(f)
			ticker.Reset(w.pause(f))
		}
		w.checkFile(f)
	}
}

// listen asks the kernel to watch the file's folder.
func (w *watchers) listen(f *feed) {
	blind := f.notify == nil || f.notify.Add(w.store.file.dir()) != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	f.blind = blind
}

// pause returns the pause between two checks of the file.
func (w *watchers) pause(f *feed) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.blind {
		return pollEvery
	}
	return w.slowly
}

// checkFile loads the file and reports new commits, or the file's error.
func (w *watchers) checkFile(f *feed) {
	st, err := w.store.load()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.feed != f {
		return // stopped meanwhile
	}
	if err != nil {
		w.reportError(err)
		return
	}
	w.trouble = ""
	w.advance(st)
}

// reportError reports an error of the file to all subscribers, once. The caller holds mu.
func (w *watchers) reportError(err error) {
	if err.Error() == w.trouble {
		return
	}
	w.trouble = err.Error()
	for sub := range w.subscribers {
		sub.enqueue(backend.Event{View: sub.view, Err: Describe(err, "watch", sub.view, nil)})
	}
}

// advance reports the commits between the last reported state and this one. The caller holds mu.
func (w *watchers) advance(st *state) {
	before := w.seen
	if before == st {
		return
	}
	// Another goroutine may have reported a later state already. If the current state is older, somebody restored an
	// older file.
	if before != nil && st.revision < before.revision && w.store.current.Load() != st {
		return
	}
	w.seen = st
	if before == nil || len(w.subscribers) == 0 {
		return
	}
	byBackend := map[*Backend]map[backend.ViewID][]*subscriber{}
	for sub := range w.subscribers {
		if byBackend[sub.backend] == nil {
			byBackend[sub.backend] = map[backend.ViewID][]*subscriber{}
		}
		byBackend[sub.backend][sub.view] = append(byBackend[sub.backend][sub.view], sub)
	}
	for b, byView := range byBackend {
		for _, event := range b.eventsBetween(before, st, slices.Collect(maps.Keys(byView))) {
			for _, sub := range byView[event.View] {
				sub.enqueue(event)
			}
		}
	}
}

// eventsBetween returns an event for each commit between two states and each view that the commit may have changed. If the
// commits are no longer recorded, it returns one event for each view that shows something else.
func (b *Backend) eventsBetween(before, after *state, views []backend.ViewID) []backend.Event {
	changes, complete := after.since(before.revision)
	differs := map[backend.ViewID]bool{}
	for _, view := range views {
		if !complete || slices.ContainsFunc(changes, func(c change) bool { return c.All && c.Schema == key(view) }) {
			differs[view] = b.shown(before, view) != b.shown(after, view)
		}
	}
	var events []backend.Event
	if !complete {
		for _, view := range views {
			if differs[view] {
				events = append(events, backend.Event{View: view, Revision: after.revision})
			}
		}
		return events
	}
	for _, c := range changes {
		affected := b.affected(after, c)
		for _, view := range views {
			if key(view) == c.Schema && (c.All && differs[view] || slices.Contains(affected, view.View)) {
				events = append(events, backend.Event{View: view, Revision: c.Revision})
			}
		}
	}
	return events
}

// affected returns the names of the views that may show a change.
func (b *Backend) affected(s *state, c change) []string {
	stored := b.inForce(s, c.Schema)
	if stored == nil || c.All {
		return nil
	}
	parsed, err := stored.parse()
	if err != nil {
		return nil
	}
	return parsed.Shows(c.Paths)
}

// shown returns what a view shows as text for comparison: its document or its error.
func (b *Backend) shown(s *state, view backend.ViewID) string {
	stored := b.inForce(s, key(view))
	if stored == nil {
		return ""
	}
	parsed, err := stored.parse()
	if err != nil {
		return err.Error()
	}
	document, err := parsed.Read(s.bags[key(view)], view.View, nil, confdb.ReadOptions{})
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A subscriber is one Watch. Its events wait in a queue, so that a slow reader does not block others.
type subscriber struct {
	backend *Backend
	view    backend.ViewID
	out     chan backend.Event
	more    chan struct{} // holds a token if the queue has events

	mu    sync.Mutex
	queue []backend.Event
}

func newSubscriber(b *Backend, view backend.ViewID) *subscriber {
	return &subscriber{backend: b, view: view, out: make(chan backend.Event), more: make(chan struct{}, 1)}
}

// enqueue appends an event to the queue. A full queue loses its oldest event. It never blocks.
func (s *subscriber) enqueue(event backend.Event) {
	s.mu.Lock()
	if len(s.queue) == queueSize {
		s.queue = slices.Delete(s.queue, 0, 1)
	}
	s.queue = append(s.queue, event)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// next removes an event from the queue.
func (s *subscriber) next() (backend.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return backend.Event{}, false
	}
	event := s.queue[0]
	s.queue = s.queue[1:]
	return event, true
}

// run sends events to the reader until ctx ends. It unsubscribes before it closes the channel.
func (s *subscriber) run(ctx context.Context, w *watchers) {
	defer close(s.out)
	defer w.unsubscribe(s)
	for {
		event, found := s.next()
		if !found {
			select {
			case <-s.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case s.out <- event:
		case <-ctx.Done():
			return
		}
	}
}

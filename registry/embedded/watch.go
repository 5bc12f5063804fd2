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
	// pollEvery is the pause between looks at the file where the kernel cannot tell of changes.
	pollEvery = time.Second
	// recheckEvery is the pause between looks where it can: it does not tell of what another machine does to a
	// network file system, and it drops events when it has too many.
	recheckEvery = 10 * time.Second
	// queueSize is how many events wait for a slow reader; of more the oldest are dropped. An event carries no data,
	// so the last ones tell all that there is to know.
	queueSize = 1024
)

// watchers tell subscribers of commits, whoever made them. While there is a subscriber one goroutine runs; it looks at
// the file when the kernel or a writer of this process says so.
type watchers struct {
	store  *store
	notify func() *fsnotify.Watcher // newNotify but in tests
	slowly time.Duration            // recheckEvery but in tests
	poked  chan struct{}            // holds one token when a writer of this process has committed

	mu          sync.Mutex // guards what follows
	subscribers map[*subscriber]struct{}
	seen        *state // what all subscribers have been told of
	trouble     string // why the file cannot be read at the moment; told once
	feed        *feed  // nil while nobody subscribes
}

// feed is the running goroutine.
type feed struct {
	cancel context.CancelFunc
	done   chan struct{}
	notify *fsnotify.Watcher // nil: the file is looked at every pollEvery
	// blind says that the directory cannot be watched, as it is not there, so that it is looked at every pollEvery as well.
	// Guarded by watchers.mu.
	blind bool
}

// polls returns the pause between looks at the file if the kernel cannot tell of changes, else 0. A directory that is
// not there yet is no reason: it will be watched once it is.
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

// poke says that there is a new state. It never blocks.
func (w *watchers) poke() {
	select {
	case w.poked <- struct{}{}:
	default:
	}
}

// subscribe begins to tell a subscriber of every commit after this moment.
func (w *watchers) subscribe(sub *subscriber) error {
	ended, err := w.add(sub)
	if ended != nil {
		<-ended.done
	}
	return err
}

// add returns a goroutine to wait for if it fails.
func (w *watchers) add(sub *subscriber) (ended *feed, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.feed == nil {
		w.start()
	}
	// After the start, so that there is no moment of which nobody tells.
	st, err := w.store.load()
	if err != nil {
		if len(w.subscribers) == 0 {
			ended = w.stop()
		}
		return ended, err
	}
	w.advance(st) // the others first: what they see from now on is the same
	w.subscribers[sub] = struct{}{}
	return nil, nil
}

// unsubscribe ends that. The last one to leave waits for the goroutine.
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

// start begins to look at the file. The caller holds mu.
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

// stop ends the goroutine, which the caller waits for after it has let go of mu.
func (w *watchers) stop() *feed {
	f := w.feed
	w.feed, w.seen = nil, nil
	f.cancel()
	return f
}

// newNotify returns nil where the kernel cannot tell, as no inotify instance is left. Looking at the file from time to
// time replaces it.
func newNotify() *fsnotify.Watcher {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	return notify
}

func (w *watchers) run(ctx context.Context, f *feed) {
	defer close(f.done)
	var events chan fsnotify.Event
	var failures chan error
	if f.notify != nil {
		defer func() { _ = f.notify.Close() }() // it was only read
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
		case _, open := <-failures: // an overflow, for one: look for ourselves
			if !open {
				failures = nil
				continue
			}
		case <-w.poked:
		case <-tick:
			// The directory may be there now, or be another one. The kernel forgets one that is removed, and takes no notice
			// of one that it knows.
			w.listen(f)
			ticker.Reset(w.pause(f))
		}
		w.look(f)
	}
}

// listen has the kernel tell of the file's directory, if it can.
func (w *watchers) listen(f *feed) {
	blind := f.notify == nil || f.notify.Add(w.store.file.dir()) != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	f.blind = blind
}

// pause returns how long to wait between looks at the file.
func (w *watchers) pause(f *feed) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.blind {
		return pollEvery
	}
	return w.slowly
}

// look tells of what is new in the file.
func (w *watchers) look(f *feed) {
	st, err := w.store.load()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.feed != f {
		return // stopped meanwhile
	}
	if err != nil {
		w.complain(err)
		return
	}
	w.trouble = ""
	w.advance(st)
}

// complain tells, once, that the file cannot be read. The caller holds mu.
func (w *watchers) complain(err error) {
	if err.Error() == w.trouble {
		return
	}
	w.trouble = err.Error()
	for sub := range w.subscribers {
		sub.tell(backend.Event{View: sub.view, Err: describe(err, "watch", sub.view, nil)})
	}
}

// advance tells of the commits between the state seen last and this one. The caller holds mu.
func (w *watchers) advance(st *state) {
	before := w.seen
	if before == st {
		return
	}
	// Another goroutine may have been faster with a later state. An older one under the same name means that somebody
	// put an older file back; then the file has been read anew.
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
		for _, event := range b.news(before, st, slices.Collect(maps.Keys(byView))) {
			for _, sub := range byView[event.View] {
				sub.tell(event)
			}
		}
	}
}

// news returns an event for each commit between two states and each view that it may have changed, by the schemas that
// are in force for this backend. Where the commits themselves are not known any more it is one event for a view that
// shows something else.
func (b *Backend) news(before, after *state, views []backend.ViewID) []backend.Event {
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
	if _, err := stored.parse(); err != nil || stored.readable == nil {
		return nil
	}
	return stored.readable.Affected(c.Paths)
}

// shown is what a view shows, as text to compare: its document, or why there is none.
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

// A subscriber is one Watch: its events wait in a queue, so that a slow reader holds nobody up.
type subscriber struct {
	backend *Backend
	view    backend.ViewID
	out     chan backend.Event
	more    chan struct{} // holds one token when there is something in the queue

	mu    sync.Mutex
	queue []backend.Event
}

func newSubscriber(b *Backend, view backend.ViewID) *subscriber {
	return &subscriber{backend: b, view: view, out: make(chan backend.Event), more: make(chan struct{}, 1)}
}

// tell appends an event to the queue. It never blocks.
func (s *subscriber) tell(event backend.Event) {
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

// next takes an event from the queue.
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

// run hands events to the reader until ctx ends. Then it leaves the watchers, and closes the channel last, so that a
// reader that sees it closed knows that nothing runs any more.
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

// Package world imitates a machine with snapd 2.77.1 as far as confdb is concerned: confdb-schemas, snaps with plugs,
// hooks and services, connections, system options, what is stored, and the transactions of snapd with their hooks,
// changes and notices. The semantics of data are the engine's (registry/confdb), what hooks do is a Runner's.
//
//	w, err := world.Open(world.Options{Dir: dir, Runner: hooks})
//	defer w.Close()
//	w.Acknowledge(world.Schema{Parsed: schema})
//	w.Install(ctx, snap); w.Connect(ctx, "custodian", "control-thing")
//	id, err := w.Set(ctx, view, values, world.Access{})    // as PUT on a view does
//	change, err := w.Wait(ctx, id)                         // "Done", or "Error" with snapd's words
//
// Sources of all rules: snapd 2.77.1 as seen running, else as read in its source. Where the imitation differs it is said
// where it is made; docs/devkit-dev.md has the list.
package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"aspects-poc/internal/durable"
	"aspects-poc/registry/confdb/databag"
)

// Version is the snapd that is imitated.
const Version = "2.77.1"

// Options say how to open a world. The zero value is an empty machine in memory whose snaps' hooks do nothing.
type Options struct {
	// Context ends hooks and changes when it ends, as Close does; nil: only that does.
	Context context.Context
	// Dir holds state.json, which every commit replaces before it counts; "" keeps all in memory. One process has a
	// directory at a time.
	Dir string
	// Runner runs hooks; nil: no snap's hook does anything.
	Runner Runner
	// Services starts and stops snaps' services; nil only notes what is asked for.
	Services Services
	// Observe, if not nil, is told of what happens in transactions, one event at a time.
	Observe func(Event)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// HookLimit is how long a hook may run; 0 means 10 min, as on snapd (configure hooks: half of it).
	HookLimit time.Duration
	// WriteLimit is how long snapctl waits for the change of a write, or of a read with hooks; 0 means 2 min.
	WriteLimit time.Duration
	// AccessTimeout is how long an access waits for others if it does not say; 0 means 10 min.
	AccessTimeout time.Duration
	// NoticeWaits is after how long Observe is told of a hook or an access that waits for another one; 0 means a second.
	NoticeWaits time.Duration
	// KeepChanges is how many ready changes are kept; 0 means 500. They are kept for a day at most.
	KeepChanges int

	write func(path string, content []byte, mode os.FileMode) error // nil: durable.Write
}

// A World is an imitated machine. Its methods are safe for concurrent use; hooks call back into it while they run.
type World struct {
	options Options
	lock    *flock.Flock // of the directory; nil in memory

	life    context.Context // of hooks and changes; ends with Close. Carried here as they outlive the calls that began them
	end     context.CancelFunc
	running sync.WaitGroup // changes that go on behind an answer

	observing sync.Mutex // held while Observe is called

	mu       sync.Mutex // guards what follows
	closed   bool
	state    *state
	saved    []byte             // what state.json holds
	parsed   map[string]*Schema // by ACCOUNT/NAME
	bags     map[string]databag.Bag
	turns    map[string]*turns       // by ACCOUNT/NAME
	contexts map[string]*hookContext // by cookie
	busy     map[string]*turn        // by snap
	moved    chan struct{}           // closed and replaced whenever a change moves
	clock    time.Time               // of the last notice
	pending  []Event                 // to be told to Observe
}

// Open opens a world. A directory that another process has, or whose state is damaged, is an error.
func Open(options Options) (*World, error) {
	options = options.withDefaults()
	w := &World{options: options, parsed: map[string]*Schema{}, bags: map[string]databag.Bag{}, turns: map[string]*turns{},
		contexts: map[string]*hookContext{}, busy: map[string]*turn{}, moved: make(chan struct{})}
	w.state = newState()
	if options.Dir != "" {
		if err := w.openDir(); err != nil {
			return nil, fmt.Errorf("cannot open the machine in %s: %w", options.Dir, err)
		}
	}
	w.life, w.end = context.WithCancel(options.Context)
	return w, nil
}

func (o Options) withDefaults() Options {
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HookLimit == 0 {
		o.HookLimit = 10 * time.Minute
	}
	if o.WriteLimit == 0 {
		o.WriteLimit = 2 * time.Minute
	}
	if o.AccessTimeout == 0 {
		o.AccessTimeout = 10 * time.Minute
	}
	if o.NoticeWaits == 0 {
		o.NoticeWaits = time.Second
	}
	if o.KeepChanges == 0 {
		o.KeepChanges = 500
	}
	if o.write == nil {
		o.write = durable.Write
	}
	return o
}

// Close ends hooks that run, waits for their changes to end, and lets go of the directory. What was committed stays.
func (w *World) Close() error {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	w.end()
	w.running.Wait()
	if w.lock == nil {
		return nil
	}
	return w.lock.Close()
}

// errClosed is the answer of a world that was closed.
var errClosed = errors.New("the machine was closed")

// change runs act with the state locked and stores the state afterwards. If the disk refuses, all is as it was; if act
// does, it must have changed nothing.
func (w *World) change(act func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed(act)
}

// changed is change for a caller that has the lock.
func (w *World) changed(act func() error) error {
	if w.closed {
		return errClosed
	}
	if err := act(); err != nil {
		return err
	}
	err := w.save()
	if err != nil {
		w.restore()
	}
	return err
}

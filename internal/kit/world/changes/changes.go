// Package changes performs the acts on an imitated machine: reads and writes through views with the hooks of snaps, and
// the installation and removal of snaps. Each act is a change with tasks, as on snapd. Its main type is Manager.
//
//	m, err := changes.Open(store, changes.Options{Runner: hooks})
//	defer m.Close()
//	err = m.Complete(ctx)(m.Install(snap))
//	id, err := m.Set(ctx, view, values, changes.Access{}) // as PUT on a view
//	change, err := m.Wait(ctx, id)                       // Done, or Failed with snapd's words
//
// Package facts stores the machine's state. The rules are those of snapd 2.77.1, seen on a running one or read in its
// source. Comments say where the imitation differs, and docs/devkit/emulated.md lists the differences.
package changes

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"aspects-poc/internal/kit/world/facts"
)

// Options are options of Open. The zero value is a machine on which hooks do nothing.
type Options struct {
	// Context ends hooks and changes when it ends, as Close does. nil: only Close ends them.
	Context context.Context
	// Runner runs hooks. nil: hooks do nothing.
	Runner Runner
	// Services starts and stops services. nil: the machine only records what is asked for.
	Services Services
	// Observe, if not nil, receives events, one at a time.
	Observe func(Event)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// HookLimit is how long a hook may run; 0 means 10 min, as on snapd. A configure hook may run half of it.
	HookLimit time.Duration
	// WriteLimit is how long snapctl waits for the change of a write, or of a read with hooks; 0 means 2 min.
	WriteLimit time.Duration
	// AccessTimeout is how long an access waits for its turn if it does not say; 0 means 10 min.
	AccessTimeout time.Duration
	// NoticeWaits is how long a hook or an access waits before Observe is informed; 0 means a second.
	NoticeWaits time.Duration
	// KeepChanges is how many ready changes are kept, a day at most; 0 means 500.
	KeepChanges int
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
	return o
}

// A Manager performs the acts of administrators and snaps: its methods plan tasks, and its performer runs them. It is safe for
// concurrent use; hooks use it while they run.
//
// It has many methods because each act is one, and it has those of its performer and of the Records, each of which owns its
// state.
type Manager struct {
	*performer
	turns turns // at confdbs
}

// Open opens a manager over facts. It ends the changes that another process left unfinished as failures, and undoes them. snapd would
// continue them, but the processes of their hooks no longer exist.
func Open(store *facts.Store, options Options) (*Manager, error) {
	options = options.withDefaults()
	records, err := newRecords(store, options)
	if err != nil {
		return nil, err
	}
	p := &performer{Records: records, options: options, facts: store, events: events{observe: options.Observe},
		queues: queues{bySnap: map[string]*queue{}}, contexts: contexts{byCookie: map[string]*Context{}}}
	p.life, p.end = context.WithCancel(options.Context)
	return &Manager{performer: p, turns: turns{byName: map[string]*access{}}}, nil
}

func badRequest(message string) error { return facts.BadRequest(message) }

func internal(message string) error {
	return &facts.Error{Status: http.StatusInternalServerError, Message: message}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

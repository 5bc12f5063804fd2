// Package backend is the vocabulary that the registry's face and its backends share: what a view is called, what a
// backend must be able to do, and how its refusals are told apart. It imports nothing of ours.
//
// Importers of the library rarely need it: package registry re-exports what they do.
package backend

import (
	"context"
	"time"
)

// A Backend reaches one store of confdb data: a running snapd, or our embedded engine.
//
// Values that cross it are JSON shapes: nil, bool, string, json.Number, []any and map[string]any. A backend may keep or
// hand out what it is given only as a copy. All methods are safe for concurrent use, honour the context's deadline, and
// report refusals as *Error with one of this package's kinds.
type Backend interface {
	// Get reads request paths through a view in one access. The answer maps each request, as it was written, to its
	// value; requests without data are left out, and if none has data the error is ErrNoData. Without requests the
	// answer is the view's own document, never empty: a view that shows nothing is ErrNoData.
	Get(ctx context.Context, view ViewID, requests []string, options GetOptions) (map[string]any, error)

	// Set writes request paths through a view in one transaction, in which nil unsets. It returns when the values are
	// committed and durable; a custodian's refusal is ErrRejected. An empty map is an error (ErrBadRequest).
	Set(ctx context.Context, view ViewID, values map[string]any) error

	// Watch sends an Event after each committed change to what the view shows, whoever made it, until ctx ends; then
	// the channel is closed. Events that happen before the first receive are kept. An Event with Err set tells that
	// the watch is interrupted; it goes on by itself.
	Watch(ctx context.Context, view ViewID) (<-chan Event, error)

	// Status tells what the backend is and can do. It fails only with ErrUnreachable.
	Status(ctx context.Context) (Status, error)

	// Close ends all watches and releases what the backend holds. Using the backend afterwards is an error.
	Close() error
}

// GetOptions says how to read. The zero value is a plain read.
type GetOptions struct {
	// Constraints are values for a view's parameters and open placeholders (snap get --with): scalars only.
	Constraints map[string]any
}

// An Updater is a Backend that can promise that nobody writes between a read and the write that depends on it.
type Updater interface {
	// Update reads the requests (all of the view without any) and passes what was found, an empty map for no data, to
	// change, which returns the values to set, nil values unsetting, or none to leave all as it is. Change must not
	// use the backend, and it may run more than once.
	Update(ctx context.Context, view ViewID, requests []string, change func(current map[string]any) (map[string]any, error)) error
}

// A MultiSetter is a Backend that can write through several views of one confdb-schema in one transaction.
type MultiSetter interface {
	// SetAll is Set for several views: all of the changes are committed, or none.
	SetAll(ctx context.Context, changes []Change) error
}

// A Hinter is a Backend without announced changes, to which the hooks of its snap leave word of them.
type Hinter interface {
	// Hints sends after somebody left word that what the view shows may have changed, until ctx ends; then the channel
	// is closed. Hints that come while nobody receives are one. Nothing is read, and writes of this Backend itself are
	// not told. A failure means that no word will come.
	Hints(ctx context.Context, view ViewID) (<-chan struct{}, error)
}

// A Lister is a Backend that knows which confdb-schemas there are, and their views.
type Lister interface {
	// Views lists the views of all confdb-schemas, sorted by account, schema and view. It reads no data.
	Views(ctx context.Context) ([]ViewInfo, error)
}

// A ViewInfo says which view there is.
type ViewInfo struct {
	ID      ViewID
	Summary string // for people; "" where the confdb-schema has none
}

// A Change is what to write through one view.
type Change struct {
	View   ViewID
	Values map[string]any // request path -> value; nil unsets
}

// An Event tells that what a view shows has changed.
type Event struct {
	View ViewID
	// Revision grows with each commit, where the backend counts them; 0 where it does not.
	Revision uint64
	// Err is why nothing can be told at the moment; the watch goes on.
	Err error
}

// Status describes an open backend.
type Status struct {
	Backend      string // scheme: "snapd", "snapctl", "file" or "mem"
	Address      string // socket or file
	Version      string // snapd's version; "" for the embedded engine
	Dialect      string // which form of the protocol is spoken, e.g. "confdb 2.76"
	Capabilities Capabilities
	Schemas      []string // ACCOUNT/NAME of the confdb-schemas that it knows, where it can list them, sorted
	Warnings     []string // what may go wrong here and what to do about it
}

// Capabilities are the promises that differ between backends.
type Capabilities struct {
	AtomicUpdate bool          // Update cannot lose a concurrent write
	MultiView    bool          // several views can be written in one transaction
	WatchPushed  bool          // changes are announced; otherwise the view is read every WatchEvery
	WatchEvery   time.Duration // pause between reads of a watch that polls
	SetConfirmed bool          // a successful Set means committed; otherwise it is confirmed by reading back
	// Hooks: the process is a snap's, and its snapd runs observe-view hooks, which tell the snap of changes (see
	// Hinter), and a custodian's load-view hooks, which supply values to readers.
	Hooks bool
}

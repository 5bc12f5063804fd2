// Package backend defines what the registry package and its backends share: the names of views, the Backend interface
// and the kinds of errors. Its main type is Backend. It imports no other package of the registry.
//
// Programs rarely import it: package registry exports again what they need.
package backend

import (
	"context"
	"time"
)

// A Backend reads and writes one store of confdb data: that of a running snapd, or that of the embedded engine.
//
// Values are JSON shapes: nil, bool, string, json.Number, []any and map[string]any. A Backend copies what it keeps of
// its arguments, and returns values that the caller may change. All methods are safe for concurrent use and honour
// the context's deadline. An error about a request is an *Error with one of this package's kinds.
type Backend interface {
	// Get reads request paths through a view in one access. It returns a map from each request, as written, to its
	// value. Requests without data are left out. If no request has data, the error is ErrNoData. Without requests,
	// Get returns all that the view shows; a view that shows nothing is ErrNoData.
	Get(ctx context.Context, view ViewID, requests []string, options GetOptions) (map[string]any, error)

	// Set writes request paths through a view in one transaction. A nil value unsets the path. Set returns when the
	// values are committed and durable. The error is ErrRejected if a custodian refuses them, and ErrBadRequest for
	// an empty map.
	Set(ctx context.Context, view ViewID, values map[string]any) error

	// Watch sends an Event after each committed change to what the view shows, whoever made it. The channel is closed
	// when ctx ends. Events from before the first receive are kept. An Event with Err set reports that the watch is
	// interrupted; the watch continues without further calls.
	Watch(ctx context.Context, view ViewID) (<-chan Event, error)

	// Status describes the backend and its capabilities. Its only kind of failure is ErrUnreachable.
	Status(ctx context.Context) (Status, error)

	// Close ends all watches and releases the backend's resources. Calls after Close return an error that wraps
	// fs.ErrClosed.
	Close() error
}

// GetOptions are options of Get. The zero value is a plain read.
type GetOptions struct {
	// Constraints are values for the view's parameters and open placeholders (snap get --with). Each is a scalar.
	Constraints map[string]any
}

// An Updater is a Backend with atomic updates: nobody writes between the read and the write that depends on it.
type Updater interface {
	// Update reads the requests, or the whole view without any, and passes the result to change; the result is an
	// empty map if there is no data. Update then sets the values that change returns: nil unsets a path, and an empty
	// map writes nothing. Change must not use the backend. It may run more than once.
	Update(ctx context.Context, view ViewID, requests []string, change func(current map[string]any) (map[string]any, error)) error
}

// A MultiSetter is a Backend that can write through several views of one confdb-schema in one transaction.
type MultiSetter interface {
	// SetAll is Set for several views: it commits all changes or none.
	SetAll(ctx context.Context, changes []Change) error
}

// A Hinter is a Backend that gets no announcements of changes from its store. The hooks of its snap announce changes
// instead; each announcement is a hint.
type Hinter interface {
	// Hints sends a value after a hook has announced that the view may show something else. The channel is closed
	// when ctx ends. Hints that arrive while nobody receives become one. Hints reads no data, and writes of this
	// Backend are not announced. An error means that no hint can arrive.
	Hints(ctx context.Context, view ViewID) (<-chan struct{}, error)
}

// A Lister is a Backend that can list confdb-schemas and their views.
type Lister interface {
	// Views lists the views of all confdb-schemas, sorted by account, schema and view. It reads no data.
	Views(ctx context.Context) ([]ViewInfo, error)
}

// A ViewInfo describes a view.
type ViewInfo struct {
	ID      ViewID
	Summary string // for people; "" if the confdb-schema has none
}

// A Change holds the values to write through one view.
type Change struct {
	View   ViewID
	Values map[string]any // request path -> value; nil unsets
}

// An Event reports a change to what a view shows.
type Event struct {
	View ViewID
	// Revision grows with each commit; it is 0 if the backend does not count commits.
	Revision uint64
	// Err is why the watch is interrupted; nil for a change. The watch continues by itself.
	Err error
}

// Status describes an open backend.
type Status struct {
	Backend      string // scheme: "snapd", "snapctl", "file" or "mem"
	Address      string // socket or file
	Version      string // snapd's version; "" for the embedded engine
	Generation   string // range of snapd releases that speak alike, such as "confdb 2.76"
	Capabilities Capabilities
	Schemas      []string // known confdb-schemas as ACCOUNT/NAME, sorted; empty if the backend cannot list them
	Warnings     []string // risks on this machine, with their remedies
}

// Capabilities are the promises in which backends differ.
type Capabilities struct {
	AtomicUpdate bool          // Update loses no concurrent write
	MultiView    bool          // one transaction can write several views
	WatchPushed  bool          // the store announces changes; otherwise the view is read every WatchEvery
	WatchEvery   time.Duration // pause between two reads of a watch
	SetConfirmed bool          // snapd or the engine confirms a Set; otherwise the Set is confirmed by reading back
	// Hooks says that the program belongs to a snap and that its snapd runs hooks of views: observe-view hooks
	// announce changes to the snap (see Hinter), and a custodian's load-view hooks supply values to readers.
	Hooks bool
}

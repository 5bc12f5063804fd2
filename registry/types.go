package registry

import "aspects-poc/registry/backend"

// The types that a program needs of package backend, where they are declared; the fields are repeated here for whoever
// reads the documentation of this package alone, and a test holds the two together.

// ViewID names a view: account, confdb-schema, view. String returns ACCOUNT/SCHEMA/VIEW.
//
//	type ViewID struct {
//		Account string // account ID of the confdb-schema
//		Schema  string
//		View    string
//	}
type ViewID = backend.ViewID

// Error says which request failed, through which view, why, and what mends it. It wraps its kind, one of the Err
// variables, and its cause: ask with errors.Is, or get the particulars with errors.As and a *registry.Error.
//
//	type Error struct {
//		Op       string   // "get", "set", "unset", "update", "watch", "list" or "open"
//		View     ViewID   // zero where no view is concerned
//		Requests []string // request paths; empty means the whole view
//		Kind     error    // one of the kinds of this package
//
//		// Message is the whole reason in the words of snapd or of the engine, such as
//		// `cannot get "x" through ACC/network/observe-tunnel: no data`. Empty: one is made from the other fields.
//		Message string
//		// Path is the storage path that a schema violation (ErrInvalid) is about; "" for the top level.
//		Path string
//		// Reason is the last part of Message: the bare cause, such as "-3 is less than the allowed minimum 0".
//		Reason string
//		// Remedy is the command or step that mends it, such as `snap set system experimental.confdb=true`.
//		Remedy string
//		// Until is the moment at which waiting for others was given up (ErrBusy).
//		Until time.Time
//		// Err is the cause below, such as a *net.OpError; nil if there is none.
//		Err error
//	}
type Error = backend.Error

// Event tells that what a view shows has changed; see View.Watch.
//
//	type Event struct {
//		View ViewID
//		// Revision grows with each commit, where the backend counts them; 0 where it does not.
//		Revision uint64
//		// Err is why nothing can be told at the moment; the watch goes on.
//		Err error
//	}
type Event = backend.Event

// Status describes an open registry; see Registry.Status.
//
//	type Status struct {
//		Backend      string // scheme: "snapd", "snapctl", "file" or "mem"
//		Address      string // socket or file
//		Version      string // snapd's version; "" for the embedded engine
//		Dialect      string // which form of the protocol is spoken, e.g. "confdb 2.76"
//		Capabilities Capabilities
//		Schemas      []string // ACCOUNT/NAME of the confdb-schemas that it knows, where it can list them, sorted
//		Warnings     []string // what may go wrong here and what to do about it
//	}
type Status = backend.Status

// Capabilities are the promises that differ between backends.
//
//	type Capabilities struct {
//		AtomicUpdate bool          // Update cannot lose a concurrent write
//		MultiView    bool          // several views can be written in one transaction
//		WatchPushed  bool          // changes are announced; otherwise the view is read every WatchEvery
//		WatchEvery   time.Duration // pause between reads of a watch that polls
//		SetConfirmed bool          // a successful Set means committed; otherwise it is confirmed by reading back
//		// Hooks: the process is a snap's, and its snapd runs observe-view hooks, which tell the snap of changes (see
//		// Hinter), and a custodian's load-view hooks, which supply values to readers.
//		Hooks bool
//	}
type Capabilities = backend.Capabilities

// ViewInfo says which view there is; see Registry.Views.
//
//	type ViewInfo struct {
//		ID      ViewID
//		Summary string // for people; "" where the confdb-schema has none
//	}
type ViewInfo = backend.ViewInfo

// The kinds of refusal. Every error that concerns a request is an *Error that wraps one of them; ask with errors.Is. None
// of them ever becomes an empty value.
var (
	ErrNoData       = backend.ErrNoData       // no data: rules match, nothing is stored
	ErrNoMatch      = backend.ErrNoMatch      // no matching rule: no rule of the view allows this request
	ErrUnauthorized = backend.ErrUnauthorized // access not allowed: not root, or all of it is secret
	ErrInvalid      = backend.ErrInvalid      // schema violation: the storage schema refuses the data
	ErrBadRequest   = backend.ErrBadRequest   // bad request: malformed path, value or constraint
	ErrNoSchema     = backend.ErrNoSchema     // unknown confdb-schema: not acknowledged, or not brought along
	ErrNoView       = backend.ErrNoView       // unknown view: the confdb-schema has no such view
	ErrNoCustodian  = backend.ErrNoCustodian  // no custodian connected: for this very view
	ErrDisabled     = backend.ErrDisabled     // feature off: the experimental flag
	ErrNotConnected = backend.ErrNotConnected // plug not connected: of the calling snap
	ErrRejected     = backend.ErrRejected     // rejected by a custodian: a change-view or save-view hook refused
	ErrBusy         = backend.ErrBusy         // busy: others hold the confdb for longer than the access timeout; see Error.Until
	ErrInterrupted  = backend.ErrInterrupted  // interrupted: the caller's context was cancelled or ran out
	ErrUnknown      = backend.ErrUnknown      // outcome unknown: sent, but the answer was lost: read back
	ErrUnreachable  = backend.ErrUnreachable  // unreachable: no socket, nobody answers
	ErrCorrupt      = backend.ErrCorrupt      // stored data is damaged: the embedded store's file
	ErrStorage      = backend.ErrStorage      // cannot store: disk full, read-only directory
	ErrMayLoseData  = backend.ErrMayLoseData  // snapd below 2.77 holds several databags: warned of, see Status.Warnings
	ErrUnsupported  = backend.ErrUnsupported  // not supported: by this backend or this snapd
	ErrOther        = backend.ErrOther        // request failed: shape conflicts and internal errors
)

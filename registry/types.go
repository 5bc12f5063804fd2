package registry

import "aspects-poc/registry/backend"

// The types of package backend that programs need. Their documentation repeats the fields, and a test compares the
// two.

// ViewID names a view by account, confdb-schema and view. String returns ACCOUNT/SCHEMA/VIEW.
//
//	type ViewID struct {
//		Account string // account ID of the confdb-schema
//		Schema  string
//		View    string
//	}
type ViewID = backend.ViewID

// Error says which request failed, through which view, why, and what the remedy is. It wraps its kind, one of the Err
// variables, and the underlying error. Test for the kind with errors.Is. Get the details with errors.As and a
// *registry.Error.
//
//	type Error struct {
//		Op       string   // "get", "set", "unset", "update", "watch", "list" or "open"
//		View     ViewID   // zero if the error is about no view
//		Requests []string // request paths; empty for the whole view
//		Kind     error    // one of the kinds of this package
//
//		// Message is the whole reason in the words of snapd or of the engine, such as `cannot get "x" through
//		// ACC/network/observe-tunnel: no data`. If it is empty, Error builds a text from the other fields.
//		Message string
//		// Path is the storage path of a schema violation (ErrInvalid), or the request path of a value that does not fit
//		// the caller's variable (ErrBadRequest); "" for the top level.
//		Path string
//		// Reason is the cause alone, the last part of Message, such as "-3 is less than the allowed minimum 0".
//		Reason string
//		// Hook names the hook that Message comes from, such as "change-view-control of lamp-snap"; "" if it is not known.
//		Hook string
//		// Remedy is the command or step that solves the problem, such as `snap set system experimental.confdb=true`.
//		Remedy string
//		// Until is the time when the wait for others ended (ErrBusy).
//		Until time.Time
//		// Err is the underlying error, such as a *net.OpError; nil if there is none.
//		Err error
//	}
type Error = backend.Error

// Event reports a change to what a view shows; see View.Watch.
//
//	type Event struct {
//		View ViewID
//		// Revision grows with each commit; it is 0 if the backend does not count commits.
//		Revision uint64
//		// Err is why the watch is interrupted; nil for a change. The watch continues by itself.
//		Err error
//	}
type Event = backend.Event

// Status describes an open registry; see Registry.Status.
//
//	type Status struct {
//		Backend      string // scheme: "snapd", "snapctl", "file" or "mem"
//		Address      string // socket or file
//		Version      string // snapd's version; "" for the embedded engine
//		Generation   string // range of snapd releases that speak alike, such as "confdb 2.76"
//		Capabilities Capabilities
//		Schemas      []string // known confdb-schemas as ACCOUNT/NAME, sorted; empty if the backend cannot list them
//		Warnings     []string // risks on this machine, with their remedies
//	}
type Status = backend.Status

// Capabilities are the promises in which backends differ.
//
//	type Capabilities struct {
//		AtomicUpdate bool          // Update loses no concurrent write
//		MultiView    bool          // one transaction can write several views
//		WatchPushed  bool          // the store announces changes; otherwise the view is read every WatchEvery
//		WatchEvery   time.Duration // pause between two reads of a watch
//		SetConfirmed bool          // snapd or the engine confirms a Set; otherwise the Set is confirmed by reading back
//		// Hooks says that the program belongs to a snap and that its snapd runs hooks of views: observe-view hooks
//		// announce changes to the snap (see Hinter), and a custodian's load-view hooks supply values to readers.
//		Hooks bool
//	}
type Capabilities = backend.Capabilities

// ViewInfo describes a view; see Registry.Views.
//
//	type ViewInfo struct {
//		ID      ViewID
//		Summary string // for people; "" if the confdb-schema has none
//	}
type ViewInfo = backend.ViewInfo

// The kinds of errors. Every error about a request is an *Error that wraps one of them. Test for a kind with
// errors.Is. A failure never appears as an empty value.
var (
	ErrNoData       = backend.ErrNoData       // no data: rules match, but nothing is stored
	ErrNoMatch      = backend.ErrNoMatch      // no matching rule: no rule of the view allows this request
	ErrUnauthorized = backend.ErrUnauthorized // access not allowed: not root, or the data is secret
	ErrInvalid      = backend.ErrInvalid      // schema violation: the storage schema refuses the data
	ErrBadRequest   = backend.ErrBadRequest   // bad request: malformed path, value or constraint
	ErrNoSchema     = backend.ErrNoSchema     // unknown confdb-schema: neither acknowledged nor in Options.Schemas
	ErrNoView       = backend.ErrNoView       // unknown view: the confdb-schema has no such view
	ErrNoCustodian  = backend.ErrNoCustodian  // no custodian connected: no connected snap is custodian of the view
	ErrDisabled     = backend.ErrDisabled     // feature off: the experimental flag is off
	ErrNotConnected = backend.ErrNotConnected // plug not connected: the plug of the calling snap
	ErrRejected     = backend.ErrRejected     // rejected by a custodian: a change-view or save-view hook refused
	ErrBusy         = backend.ErrBusy         // busy: others held the confdb for longer than the access timeout; see Error.Until
	ErrInterrupted  = backend.ErrInterrupted  // interrupted: the caller's context was cancelled or its deadline passed
	ErrUnknown      = backend.ErrUnknown      // outcome unknown: the write's answer is lost: read back
	ErrUnreachable  = backend.ErrUnreachable  // unreachable: no socket, or no answer
	ErrCorrupt      = backend.ErrCorrupt      // stored data is damaged: the file of the embedded engine
	ErrStorage      = backend.ErrStorage      // cannot store: the disk is full, or the directory is read-only
	ErrMayLoseData  = backend.ErrMayLoseData  // snapd below 2.77 holds several databags: a text for Status.Warnings
	ErrUnsupported  = backend.ErrUnsupported  // not supported: this backend or this snapd cannot do it
	ErrOther        = backend.ErrOther        // request failed: conflicts of shape, and internal errors
)

// Package registry reads, writes and watches configuration that snaps share through snapd's confdb. (Registry is an
// earlier name of confdb; so is aspects.)
//
// One call opens whatever this process can reach — snapctl inside a snap, a snapd whose socket answers, else the
// embedded engine in a file — and everything after it is the same everywhere:
//
//	reg, err := registry.Open(ctx, "auto")
//	defer reg.Close()
//	telemetry := reg.View("control-telemetry")
//	err = telemetry.Set(ctx, map[string]any{"sample-rate": 4, "monitor-peers": nil}) // one transaction, nil unsets
//	var settings struct {
//		SampleRate int `json:"sample-rate"`
//	}
//	err = telemetry.Read(ctx, &settings, "sample-rate")
//
// Errors tell apart what went wrong: ask with errors.Is(err, registry.ErrNoData) and its siblings, or get the request,
// the reason and the remedy with errors.As and *registry.Error.
package registry

import (
	"context"
	"errors"

	"aspects-poc/registry/backend"
)

// What importers need of package backend.
type (
	// ViewID names a view: account, confdb-schema, view.
	ViewID = backend.ViewID
	// Error says which request failed, through which view, why, and what mends it.
	Error = backend.Error
	// Event tells that what a view shows has changed.
	Event = backend.Event
	// Status describes an open registry.
	Status = backend.Status
	// Capabilities are the promises that differ between backends.
	Capabilities = backend.Capabilities
	// ViewInfo says which view there is.
	ViewInfo = backend.ViewInfo
)

// The kinds of refusal; see package backend for each.
var (
	ErrNoData       = backend.ErrNoData
	ErrNoMatch      = backend.ErrNoMatch
	ErrUnauthorized = backend.ErrUnauthorized
	ErrInvalid      = backend.ErrInvalid
	ErrBadRequest   = backend.ErrBadRequest
	ErrNoSchema     = backend.ErrNoSchema
	ErrNoView       = backend.ErrNoView
	ErrNoCustodian  = backend.ErrNoCustodian
	ErrDisabled     = backend.ErrDisabled
	ErrNotConnected = backend.ErrNotConnected
	ErrRejected     = backend.ErrRejected
	ErrBusy         = backend.ErrBusy
	ErrInterrupted  = backend.ErrInterrupted
	ErrUnknown      = backend.ErrUnknown
	ErrUnreachable  = backend.ErrUnreachable
	ErrCorrupt      = backend.ErrCorrupt
	ErrStorage      = backend.ErrStorage
	ErrMayLoseData  = backend.ErrMayLoseData
	ErrUnsupported  = backend.ErrUnsupported
	ErrOther        = backend.ErrOther
)

// A Registry is an open connection to confdb data. It is safe for concurrent use.
type Registry struct {
	backend  backend.Backend
	defaults ViewID // account and schema of views named without them
	choice   Choice
}

// New returns a registry over a backend that is open already. Views named without account or schema take them from
// defaults. Most callers want Open.
func New(b backend.Backend, defaults ViewID) *Registry {
	return &Registry{backend: b, defaults: defaults}
}

// View returns access to a view, named "VIEW", "SCHEMA/VIEW" or "ACCOUNT/SCHEMA/VIEW". Nothing is checked before the
// first use; a malformed name is reported there.
func (r *Registry) View(name string) *View {
	id, err := backend.ParseViewID(name, r.defaults)
	if err != nil {
		return &View{registry: r, fault: &Error{Kind: ErrBadRequest, Message: err.Error(), Reason: err.Error()}}
	}
	return &View{registry: r, id: id}
}

// Changes is what to write through several views: view (named as for View) -> request path -> value; nil unsets.
type Changes map[string]map[string]any

// Apply writes through several views of one confdb-schema: in one transaction where the backend can promise it
// (Capabilities.MultiView), else view by view in the order of their names. In the latter case an error tells with
// *PartialError which views had been written before.
func (r *Registry) Apply(ctx context.Context, changes Changes) error {
	list, err := r.sorted(changes)
	if err != nil || len(list) == 0 {
		return err
	}
	if multi, ok := r.backend.(backend.MultiSetter); ok {
		return multi.SetAll(ctx, list)
	}
	for i, change := range list {
		if err := r.backend.Set(ctx, change.View, change.Values); err != nil {
			if i == 0 {
				return err
			}
			partial := &PartialError{Failed: change.View, Err: err}
			for _, done := range list[:i] {
				partial.Written = append(partial.Written, done.View)
			}
			return partial
		}
	}
	return nil
}

// Status tells what is behind the registry: backend, address, dialect, promises and warnings.
func (r *Registry) Status(ctx context.Context) (Status, error) { return r.backend.Status(ctx) }

// Views lists the views of all confdb-schemas that the backend knows, sorted by account, schema and view. The error is
// of kind ErrUnsupported over snapctl: inside a snap only the snap's own plugs are known.
func (r *Registry) Views(ctx context.Context) ([]ViewInfo, error) {
	lister, ok := r.backend.(backend.Lister)
	if !ok {
		return nil, &Error{Op: "list", Kind: ErrUnsupported, Reason: "this registry does not tell which views there are"}
	}
	return lister.Views(ctx)
}

// Choice tells why this backend was chosen. It is zero unless the registry was opened as "auto".
func (r *Registry) Choice() Choice { return r.choice }

// Defaults returns account and schema of views that are named without them.
func (r *Registry) Defaults() ViewID { return r.defaults }

// Close ends all watches and releases the backend.
func (r *Registry) Close() error { return r.backend.Close() }

// A PartialError reports that Apply stopped half way, on a backend without transactions over several views.
type PartialError struct {
	Written []ViewID // committed before the failure
	Failed  ViewID
	Err     error
}

func (e *PartialError) Error() string {
	text := e.Err.Error() + " (already written:"
	for _, view := range e.Written {
		text += " " + view.String()
	}
	return text + ")"
}

// Unwrap returns the failure.
func (e *PartialError) Unwrap() error { return e.Err }

// IsNotReady tells that an access failed for something that an administrator or time may mend — a plug to connect, the
// flag to turn on, a schema to acknowledge, a snapd that restarts — so that a daemon should wait and try again.
func IsNotReady(err error) bool {
	for _, kind := range []error{ErrNoCustodian, ErrNotConnected, ErrDisabled, ErrNoSchema, ErrUnreachable, ErrBusy} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

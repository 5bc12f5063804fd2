// Package registry reads, writes and watches configuration that snaps share through snapd's confdb. (Registry is an
// earlier name of confdb; so is aspects.)
//
// Open takes whatever this process can reach: snapctl inside a snap, a snapd whose socket answers, else an engine of its
// own with snapd's rules and a file. Everything after it is the same everywhere:
//
//	schemas, err := registry.ReadSchemas("lamp.yaml") // for the file; snapd has its own, acknowledged
//	reg, err := registry.Open(ctx, "auto", registry.Options{Schemas: schemas})
//	defer reg.Close()
//	control := reg.View("control") // of the one schema; in full: "acme/lamp/control"
//	err = control.Set(ctx, map[string]any{"brightness": 40, "color": nil}) // one transaction, nil unsets
//	var lamp struct {
//		Brightness int `json:"brightness"`
//	}
//	err = control.Read(ctx, &lamp)
//
// View has Get, Read and Raw to read, Set, Unset and Update to write, Watch and Hints to hear of changes. Hooks of snaps
// begin with OpenHook. Values are JSON shapes: nil, bool, string, json.Number, []any and map[string]any.
//
// Every refusal is an *Error of one kind: ask with errors.Is(err, registry.ErrNoData) and its siblings. IsNotReady picks
// those that pass by themselves or that an administrator mends. Where a context ends first the error is ErrInterrupted,
// and errors.Is(err, context.Canceled) or context.DeadlineExceeded tells how.
package registry

import (
	"context"
	"errors"

	"aspects-poc/registry/backend"
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

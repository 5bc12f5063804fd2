// Package registry reads, writes and watches configuration that snaps share through snapd's confdb. (Registry and
// aspects are earlier names of confdb.) Its main types are Registry, View and Hook.
//
// Open chooses the backend: snapctl inside a snap, else snapd if its socket answers with confdb on, else a file with
// an engine that applies snapd's rules. The calls after Open are the same for all of them:
//
//	schemas, err := registry.ReadSchemas("lamp.yaml") // for the file; snapd has the acknowledged assertion
//	reg, err := registry.Open(ctx, "auto", registry.Options{Schemas: schemas})
//	defer reg.Close()
//	control := reg.View("control") // short for "acme/lamp/control", as there is one schema
//	err = control.Set(ctx, map[string]any{"brightness": 40, "color": nil}) // one transaction; nil unsets
//	var lamp struct {
//		Brightness int `json:"brightness"`
//	}
//	err = control.Read(ctx, &lamp)
//
// A View reads with Get, Read and Raw, writes with Set, Unset and Update, and reports changes with Watch and Hints. A
// hook of a snap starts with OpenHook. Values are JSON shapes: nil, bool, string, json.Number, []any and
// map[string]any.
//
// An error about a request is an *Error of one kind. Test for the kind with errors.Is(err, registry.ErrNoData) and so
// on. IsNotReady reports the kinds that time or an administrator can solve. If the context ends first, the error is
// ErrInterrupted, and errors.Is also matches context.Canceled or context.DeadlineExceeded. After Close, errors.Is
// matches fs.ErrClosed.
//
// Package backend defines what a backend is. Packages snapd, snapctl and embedded are the backends.
package registry

import (
	"context"
	"errors"

	"aspects-poc/registry/backend"
)

// A Registry is an open connection to confdb data. It is safe for concurrent use. Open returns one.
type Registry struct {
	backend  backend.Backend
	defaults ViewID // account and schema for views named without them
	choice   Choice
}

// New returns a Registry over an open backend. Views named without account or schema take them from defaults. Most
// programs call Open instead.
func New(b backend.Backend, defaults ViewID) *Registry {
	return &Registry{backend: b, defaults: defaults}
}

// View returns the view with this name: "VIEW", "SCHEMA/VIEW" or "ACCOUNT/SCHEMA/VIEW". It never fails; the first use
// of the View reports a malformed name or an unknown view.
func (r *Registry) View(name string) *View {
	id, err := backend.ParseViewID(name, r.defaults)
	if err != nil {
		return &View{registry: r, fault: &Error{Kind: ErrBadRequest, Message: err.Error(), Reason: err.Error()}}
	}
	return &View{registry: r, id: id}
}

// Changes maps a view, named as for Registry.View, to the values to write through it: request path -> value. nil
// unsets.
type Changes map[string]map[string]any

// Apply writes through several views of one confdb-schema. If Capabilities.MultiView is true, it does so in one
// transaction. Otherwise it writes view by view, sorted by name, and a failure after the first view is a
// *PartialError with the views that are already written.
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

// Status describes the registry: backend, address, generation, capabilities and warnings.
func (r *Registry) Status(ctx context.Context) (Status, error) { return r.backend.Status(ctx) }

// Views lists the views of all confdb-schemas that the backend knows, sorted by account, schema and view. Over
// snapctl the error is ErrUnsupported: a snap sees only its own plugs.
func (r *Registry) Views(ctx context.Context) ([]ViewInfo, error) {
	lister, ok := r.backend.(backend.Lister)
	if !ok {
		return nil, &Error{Op: "list", Kind: ErrUnsupported, Reason: "this registry cannot list its views"}
	}
	return lister.Views(ctx)
}

// Choice returns why Open chose this backend. It is zero unless the address was "auto".
func (r *Registry) Choice() Choice { return r.choice }

// Defaults returns the account and schema for views that are named without them.
func (r *Registry) Defaults() ViewID { return r.defaults }

// Close ends all watches and releases the backend.
func (r *Registry) Close() error { return r.backend.Close() }

// A PartialError is the error of an Apply that failed after it had written some views. Only backends without
// Capabilities.MultiView return it.
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

// Unwrap returns the error of the failed view.
func (e *PartialError) Unwrap() error { return e.Err }

// IsNotReady reports whether time or an administrator can solve the problem: a plug to connect, a flag to turn on, a
// schema to acknowledge, a snapd that restarts, another writer. A daemon should then wait and try again.
func IsNotReady(err error) bool {
	for _, kind := range []error{ErrNoCustodian, ErrNotConnected, ErrDisabled, ErrNoSchema, ErrUnreachable, ErrBusy} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

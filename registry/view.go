package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/backend"
)

// A View reads, writes and watches through one view of a confdb-schema.
type View struct {
	registry *Registry
	id       ViewID
	fault    *Error // of a malformed name, without what was asked
}

// ID returns the view's full name; the zero ViewID for a malformed name.
func (v *View) ID() ViewID { return v.id }

// check returns the error of a call through a view with a malformed name.
func (v *View) check(op string, requests []string) error {
	if v.fault == nil {
		return nil
	}
	return backend.About(v.fault, op, v.id, requests)
}

// Get reads request paths in one access. The answer maps each request, as written, to its value (JSON shapes, numbers
// as json.Number); requests without data are left out, and if none has data the error is ErrNoData. Without requests it
// is the whole view's document. An error for a registry's file that is not there yet is ErrNoData too, and wraps
// fs.ErrNotExist.
func (v *View) Get(ctx context.Context, requests ...string) (map[string]any, error) {
	return v.GetWith(ctx, nil, requests...)
}

// GetWith is Get with constraints (snap get --with): scalars for the view's parameters and open placeholders.
func (v *View) GetWith(ctx context.Context, constraints map[string]any, requests ...string) (map[string]any, error) {
	if err := v.check("get", requests); err != nil {
		return nil, err
	}
	return v.registry.backend.Get(ctx, v.id, requests, backend.GetOptions{Constraints: constraints})
}

// Read is Get into a Go struct or map that dst points to, by its json tags. Fields without data keep what they hold. If
// there is no data at all the error is ErrNoData and dst is as it was; so it is when a value does not fit its field, which
// is ErrBadRequest.
func (v *View) Read(ctx context.Context, dst any, requests ...string) error {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return err
	}
	return decode(document, dst, v.id, requests)
}

// Raw is Get as JSON text.
func (v *View) Raw(ctx context.Context, requests ...string) (json.RawMessage, error) {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// Set writes request paths in one transaction. values is a map from request path to value, in which nil unsets, or a
// struct whose json fields are the request paths; fields that are left out when empty are not written.
func (v *View) Set(ctx context.Context, values any) error {
	if err := v.check("set", nil); err != nil {
		return err
	}
	shaped, err := Values(values)
	if err != nil {
		return unusable("set", v.id, err)
	}
	return v.registry.backend.Set(ctx, v.id, shaped)
}

// Unset removes what the request paths show, in one transaction. Removing what is not there is no error.
func (v *View) Unset(ctx context.Context, requests ...string) error {
	values := make(map[string]any, len(requests))
	for _, request := range requests {
		values[request] = nil
	}
	return v.Set(ctx, values)
}

// Update reads the requests (the whole view without any), hands what was found to change — an empty map for no data —
// and sets what it returns; nil values unset, and an empty result writes nothing. It is atomic where
// Capabilities.AtomicUpdate says so: change then runs while others wait. Elsewhere (snapd has no such operation) a
// write of somebody else between the read and the set is overwritten where both touch the same request path.
func (v *View) Update(ctx context.Context, requests []string, change func(current map[string]any) (map[string]any, error)) error {
	if err := v.check("update", requests); err != nil {
		return err
	}
	shaped := func(current map[string]any) (map[string]any, error) {
		values, err := change(current)
		if err != nil || len(values) == 0 {
			return nil, err
		}
		shaped, err := Values(values)
		if err != nil {
			return nil, unusable("update", v.id, err)
		}
		return shaped, nil
	}
	if updater, ok := v.registry.backend.(backend.Updater); ok {
		return updater.Update(ctx, v.id, requests, shaped)
	}
	current, err := v.Get(ctx, requests...)
	if errors.Is(err, ErrNoData) {
		current, err = map[string]any{}, nil
	}
	if err != nil {
		return err
	}
	values, err := shaped(current)
	if err != nil || len(values) == 0 {
		return err
	}
	return v.registry.backend.Set(ctx, v.id, values)
}

// Watch sends an Event after each committed change to what the view shows, whoever made it and in whichever process,
// until ctx ends or the Registry is closed; then the channel is closed. An Event with Err set tells that the watch is
// interrupted; it goes on by itself. It waits for a file that is not there yet, and does not make it.
func (v *View) Watch(ctx context.Context) (<-chan Event, error) {
	if err := v.check("watch", nil); err != nil {
		return nil, err
	}
	return v.registry.backend.Watch(ctx, v.id)
}

// Hints sends when somebody left word that what the view shows may have changed, and reads nothing by itself: for
// callers to whom the reads of a Watch that polls are too dear, and who read now and then all the same, as word can get
// lost. Hooks of the snap leave it with Hook.Announce. Where Capabilities.Hooks is false it is ErrUnsupported.
func (v *View) Hints(ctx context.Context) (<-chan struct{}, error) {
	if err := v.check("watch", nil); err != nil {
		return nil, err
	}
	hinter, ok := v.registry.backend.(backend.Hinter)
	if !ok {
		return nil, &Error{Op: "watch", View: v.id, Kind: ErrUnsupported, Reason: "no hooks leave word of changes here"}
	}
	return hinter.Hints(ctx, v.id)
}

// Values turns a struct or map into the JSON shapes that backends take: request path -> value.
func Values(from any) (map[string]any, error) {
	text, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("want a map from request path to value, or a struct: %w", err)
	}
	return values, nil
}

// unusable refuses values that are no map from request paths.
func unusable(op string, view ViewID, err error) error {
	return &Error{Op: op, View: view, Kind: ErrBadRequest, Reason: err.Error(), Err: err}
}

func decode(document map[string]any, dst any, view ViewID, requests []string) error {
	if target := reflect.ValueOf(dst); target.Kind() != reflect.Pointer || target.IsNil() {
		return &Error{Op: "get", View: view, Requests: requests, Kind: ErrBadRequest, Remedy: "Read(ctx, &value)",
			Reason: fmt.Sprintf("%s cannot be filled in, as it was given without its address", typeName(dst))}
	}
	text, err := json.Marshal(document)
	// Twice, so that a value that does not fit leaves dst as it was.
	for _, target := range []any{clone(dst), dst} {
		if err == nil {
			err = json.Unmarshal(text, target)
		}
	}
	if err == nil {
		return nil
	}
	refused := &Error{Op: "get", View: view, Requests: requests, Kind: ErrBadRequest, Err: err,
		Reason: fmt.Sprintf("what is stored cannot be read into %s: %s", typeName(dst), strings.TrimPrefix(err.Error(), "json: "))}
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) {
		what := "a value"
		if mismatch.Field != "" {
			what = strconv.Quote(mismatch.Field)
		}
		refused.Reason = fmt.Sprintf("what is stored cannot be read into %s: %s is of type %s, and the program wants a Go %s",
			typeName(dst), what, mismatch.Value, mismatch.Type)
	}
	return refused
}

func (r *Registry) sorted(changes Changes) ([]backend.Change, error) {
	list := make([]backend.Change, 0, len(changes))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		view := r.View(name)
		if err := view.check("set", nil); err != nil {
			return nil, err
		}
		if len(changes[name]) == 0 {
			continue
		}
		values, err := Values(changes[name])
		if err != nil {
			return nil, unusable("set", view.id, err)
		}
		list = append(list, backend.Change{View: view.id, Values: values})
	}
	slices.SortFunc(list, func(a, b backend.Change) int { return cmp.Compare(a.View.String(), b.View.String()) })
	return list, nil
}

// clone returns a pointer to a new zero value of what dst, a pointer, points to.
func clone(dst any) any { return reflect.New(reflect.TypeOf(dst).Elem()).Interface() }

// typeName is how an error names the type of what a program gave: a struct type without a name can be long.
func typeName(dst any) string {
	kind := reflect.TypeOf(dst)
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind != nil && kind.Kind() == reflect.Struct && kind.Name() == "" {
		return "the struct"
	}
	return fmt.Sprint(kind)
}

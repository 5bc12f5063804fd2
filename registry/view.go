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

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/backend"

	"github.com/go-json-experiment/json/jsontext"
)

// A View reads, writes and watches one view of a confdb-schema. Registry.View returns one.
type View struct {
	registry *Registry
	id       ViewID
	fault    *Error // the error of a malformed name, without the request
}

// ID returns the view's full name, or the zero ViewID for a malformed name.
func (v *View) ID() ViewID { return v.id }

// check returns the error of a request through a view with a malformed name.
func (v *View) check(op string, requests []string) error {
	if v.fault == nil {
		return nil
	}
	return backend.About(v.fault, op, v.id, requests)
}

// Get reads request paths in one access. It returns a map from each request, as written, to its value in JSON shapes;
// numbers are json.Number. Requests without data are left out. If no request has data, the error is ErrNoData.
// Without requests, Get returns all that the view shows. If the registry's file does not exist, the error is
// ErrNoData and wraps fs.ErrNotExist.
func (v *View) Get(ctx context.Context, requests ...string) (map[string]any, error) {
	return v.GetWith(ctx, nil, requests...)
}

// GetWith is Get with constraints (snap get --with): scalar values for the view's parameters and open placeholders.
// The error is ErrBadRequest for a value that is no scalar.
func (v *View) GetWith(ctx context.Context, constraints map[string]any, requests ...string) (map[string]any, error) {
	if err := v.check("get", requests); err != nil {
		return nil, err
	}
	return v.registry.backend.Get(ctx, v.id, requests, backend.GetOptions{Constraints: constraints})
}

// Read is Get into the struct or map that dst points to, matched by json tags. Fields without data keep their value.
// An integer field takes an integral number in any notation, such as 1e1. If there is no data at all, the error is
// ErrNoData. If a value does not fit its field, the error is ErrBadRequest. After an error dst is unchanged.
func (v *View) Read(ctx context.Context, dst any, requests ...string) error {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return err
	}
	return decode(document, dst, v.id, requests)
}

// Decode is the second half of Read, for a document that Get has returned.
func Decode(document map[string]any, dst any) error { return decode(document, dst, ViewID{}, nil) }

// Raw is Get with the result as JSON text.
func (v *View) Raw(ctx context.Context, requests ...string) (json.RawMessage, error) {
	document, err := v.Get(ctx, requests...)
	if err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// Set writes request paths in one transaction. values is a map from request path to value, or a struct whose json
// names are request paths; omitempty fields that are empty are not written. A nil value, an empty list and an empty
// map unset the path. Frequent errors are ErrNoMatch, ErrInvalid, ErrRejected and ErrBusy.
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

// Unset removes the data at the request paths in one transaction. It is no error if there is none.
func (v *View) Unset(ctx context.Context, requests ...string) error {
	values := make(map[string]any, len(requests))
	for _, request := range requests {
		values[request] = nil
	}
	return v.Set(ctx, values)
}

// Update writes values that depend on the present ones. It reads the requests, or the whole view without any, and passes
// the result to change; the result is an empty map if there is no data. Update then sets the values that change
// returns: nil unsets a path, and an empty map writes nothing. An error of change is returned as it is.
//
// If Capabilities.AtomicUpdate is true, nobody else can write in between. Otherwise (snapd has no such operation)
// Update can overwrite somebody else's write to the same request path.
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

// Watch sends an Event after each committed change to what the view shows, made by any process. The channel is closed
// when ctx ends or the Registry is closed. An Event with Err set reports that the watch is interrupted; the watch
// continues by itself. If the registry's file does not exist, Watch waits for it.
func (v *View) Watch(ctx context.Context) (<-chan Event, error) {
	if err := v.check("watch", nil); err != nil {
		return nil, err
	}
	return v.registry.backend.Watch(ctx, v.id)
}

// Hints sends a value after a hook of the snap has called Hook.Announce for the view. It reads nothing. Use it
// instead of Watch if the regular reads of a Watch cost too much, and also read the view at long intervals, because a hint
// can get lost. The error is ErrUnsupported if Capabilities.Hooks is false.
func (v *View) Hints(ctx context.Context) (<-chan struct{}, error) {
	if err := v.check("watch", nil); err != nil {
		return nil, err
	}
	hinter, ok := v.registry.backend.(backend.Hinter)
	if !ok {
		return nil, &Error{Op: "watch", View: v.id, Kind: ErrUnsupported, Reason: "this backend has no hooks that announce changes"}
	}
	return hinter.Hints(ctx, v.id)
}

// Values converts a struct or map to JSON shapes, as backends take them: request path -> value. It returns an error
// if from is not an object in JSON.
func Values(from any) (map[string]any, error) {
	text, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := jsonvalue.Decode(text, &values); err != nil {
		return nil, fmt.Errorf("want a map from request path to value, or a struct: %w", err)
	}
	return values, nil
}

// unusable returns the error for values that are not a map from request paths.
func unusable(op string, view ViewID, err error) error {
	return &Error{Op: op, View: view, Kind: ErrBadRequest, Reason: err.Error(), Err: err}
}

// decode is Decode for a read of requests through a view, which the error names.
func decode(document map[string]any, dst any, view ViewID, requests []string) error {
	if target := reflect.ValueOf(dst); target.Kind() != reflect.Pointer || target.IsNil() {
		return &Error{Op: "get", View: view, Requests: requests, Kind: ErrBadRequest, Remedy: "Read(ctx, &value)",
			Reason: fmt.Sprintf("%s cannot be filled in, as it was given without its address", typeName(dst))}
	}
	text, err := fill(document, dst)
	mismatch := (*json.UnmarshalTypeError)(nil)
	if errors.As(err, &mismatch) && strings.HasPrefix(mismatch.Value, "number") {
		text, err = fill(jsonvalue.Digits(document), dst)
	}
	if err == nil {
		return nil
	}
	refused := &Error{Op: "get", View: view, Requests: requests, Kind: ErrBadRequest, Err: err,
		Reason: fmt.Sprintf("what is stored cannot be read into %s: %s", typeName(dst), strings.TrimPrefix(err.Error(), "json: "))}
	if errors.As(err, &mismatch) {
		refused.Path = pathAt(text, mismatch.Offset)
		what := "a value"
		if refused.Path != "" {
			what = strconv.Quote(refused.Path)
		}
		refused.Reason = fmt.Sprintf("what is stored cannot be read into %s: %s is of type %s, and the program wants a Go %s",
			typeName(dst), what, mismatch.Value, mismatch.Type)
	}
	return refused
}

// fill decodes a document, as JSON text, into dst. After an error dst is unchanged.
func fill(document, dst any) (text []byte, err error) {
	text, err = json.Marshal(document)
	for _, target := range []any{clone(dst), dst} { // the first one only finds errors
		if err == nil {
			err = json.Unmarshal(text, target)
		}
	}
	return text, err
}

// pathAt returns the request path of the value that ends at an offset of a JSON text, or begins there.
func pathAt(text []byte, offset int64) string {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text))
	for decoder.InputOffset() < offset {
		if _, err := decoder.ReadToken(); err != nil {
			return ""
		}
	}
	var path strings.Builder
	depth := 1
	for step := range decoder.StackPointer().Tokens() {
		switch kind, _ := decoder.StackIndex(depth); {
		case kind == '[':
			path.WriteString("[" + step + "]")
		case path.Len() > 0:
			path.WriteString("." + step)
		default:
			path.WriteString(step)
		}
		depth++
	}
	return path.String()
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

// clone returns a pointer to a new zero value of the type that dst points to.
func clone(dst any) any { return reflect.New(reflect.TypeOf(dst).Elem()).Interface() }

// typeName returns the name of a type for error texts. Unnamed struct types are too long to print.
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

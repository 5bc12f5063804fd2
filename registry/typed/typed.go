// Package typed has views whose data have Go types. The code that `aspects-poc registry generate go` writes is built on it. Its main
// type is View. The engine checks values before they are written. Untyped views, backends and errors are in package registry.
//
//	control := lamp.NewControl(reg) // generated: a typed.View[lamp.ControlData]
//	err := control.Set(ctx, lamp.ControlData{Brightness: new(int64(40))})
//	data, err := control.Get(ctx)
//	err = control.Color().Unset(ctx)
//
// Errors are those of package registry. Generate the code again when the confdb-schema changes.
package typed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/embedded"
)

// A Schema is the confdb-schema of generated code.
type Schema struct {
	document string
	parsed   func() (*confdb.Schema, error)
}

// NewSchema returns the confdb-schema of a document in the form for `snap sign`. It does not parse the document.
func NewSchema(document string) *Schema {
	return &Schema{document, sync.OnceValues(func() (*confdb.Schema, error) { return confdb.ParseDocument([]byte(document)) })}
}

// Schemas returns the confdb-schema for registry.Options. It returns an error if the document cannot be parsed.
func (s *Schema) Schemas() ([]registry.Schema, error) {
	return registry.ParseSchemas([]byte(s.document))
}

// A Spec is a view of a confdb-schema, as generated code describes it.
type Spec struct {
	Schema *Schema
	Name   string // in full: ACCOUNT/SCHEMA/VIEW
	// Paths are the request paths by which documents are written, with {} for placeholders. A value at a path with "!" is
	// written as a whole. A value at another path is written by longer paths if these cover all of it.
	Paths []string
	root  func() *place
}

// NewSpec returns the Spec of a view. name is ACCOUNT/SCHEMA/VIEW, and paths are Spec.Paths.
func NewSpec(schema *Schema, name string, paths ...string) *Spec {
	s := &Spec{Schema: schema, Name: name, Paths: paths}
	s.root = sync.OnceValue(s.places)
	return s
}

// A place is a part of a request path.
type place struct {
	own, whole bool
	inner      map[string]*place
}

func (s *Spec) places() *place {
	root := &place{inner: map[string]*place{}}
	for _, text := range s.Paths {
		text, whole := strings.CutSuffix(text, "!")
		at := root
		for _, name := range strings.Split(text, ".") {
			if at.inner[name] == nil {
				at.inner[name] = &place{inner: map[string]*place{}}
			}
			at = at.inner[name]
		}
		at.own, at.whole = true, whole
	}
	return root
}

func (p *place) step(name string) *place {
	if inner := p.inner[name]; inner != nil {
		return inner
	}
	return p.inner["{}"]
}

// requests divides the value at a request path into values of request paths, and adds these to found.
func (p *place) requests(value any, at string, found map[string]any) {
	object, isMap := value.(map[string]any)
	missing := func(name string) bool { return p.step(name) == nil }
	if !isMap || p.whole || len(p.inner) == 0 || p.own && (len(object) == 0 || slices.ContainsFunc(slices.Collect(maps.Keys(object)), missing)) {
		if jsonvalue.Empty(value) {
			value = nil
		}
		found[at] = value
		return
	}
	for name, part := range object {
		inner := p.step(name)
		if inner == nil {
			inner = &place{own: true}
		}
		below := name
		if at != "" {
			below = at + "." + name
		}
		inner.requests(part, below, found)
	}
}

// requests returns the request paths by which a document is written, with their values.
func (s *Spec) requests(document any) (map[string]any, error) {
	shaped, err := registry.Values(document)
	if err != nil {
		return nil, &registry.Error{Op: "set", Kind: registry.ErrBadRequest, Reason: err.Error(), Err: err}
	}
	found := map[string]any{}
	if len(shaped) > 0 {
		s.root().requests(shaped, "", found)
	}
	return found, nil
}

// check returns the engine's error for values that cannot be written.
func (s *Spec) check(view *registry.View, values map[string]any) error {
	parsed, err := s.Schema.parsed()
	if err != nil {
		return fmt.Errorf("the confdb-schema of generated code cannot be read: %w", err)
	}
	name := s.Name[strings.LastIndexByte(s.Name, '/')+1:]
	for _, request := range slices.Sorted(maps.Keys(values)) {
		if err := parsed.Check(name, request, values[request]); err != nil {
			return embedded.Describe(err, "set", view.ID(), []string{request})
		}
	}
	return nil
}

// write checks values and writes them. Nothing is written if there are none.
func (s *Spec) write(ctx context.Context, view *registry.View, values map[string]any) error {
	if len(values) == 0 {
		return nil
	}
	if err := s.check(view, values); err != nil {
		return err
	}
	return view.Set(ctx, values)
}

// A Reader is a view that can be read. T is the type of the whole view; a nil pointer, slice or map in it has no data.
type Reader[T any] struct {
	view *registry.View
	spec *Spec
}

// NewReader returns the view of a Spec in an open registry. Generated code calls it.
func NewReader[T any](reg *registry.Registry, spec *Spec) Reader[T] {
	return Reader[T]{reg.View(spec.Name), spec}
}

// Raw returns the view for requests that are not typed.
func (r Reader[T]) Raw() *registry.View { return r.view }

// Get returns all that the view shows. The error is ErrNoData if that is nothing.
func (r Reader[T]) Get(ctx context.Context) (T, error) { return r.GetWith(ctx, nil) }

// GetWith is Get with constraints: scalars for parameters and placeholders for keys.
func (r Reader[T]) GetWith(ctx context.Context, constraints map[string]any) (data T, err error) {
	document, err := r.view.GetWith(ctx, constraints)
	if err != nil {
		return data, err
	}
	err = decode(document, &data)
	return data, err
}

// Watch yields what the view shows now, and again after each change, until ctx ends or the loop is left. An error means that the
// watch is interrupted. The watch then continues by itself; only if it could not begin, it ends.
func (r Reader[T]) Watch(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var none T
		events, err := r.view.Watch(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		next := registry.Event{}
		for open := true; open; next, open = <-events {
			data, err := none, next.Err
			if err == nil {
				if data, err = r.Get(ctx); errors.Is(err, registry.ErrNoData) {
					err = nil
				}
			}
			if ctx.Err() != nil || !yield(data, err) {
				return
			}
		}
	}
}

// A Writer is a view that can be written. T is the type of the data that it accepts.
type Writer[T any] struct {
	view *registry.View
	spec *Spec
}

// NewWriter returns the view of a Spec in an open registry. Generated code calls it.
func NewWriter[T any](reg *registry.Registry, spec *Spec) Writer[T] {
	return Writer[T]{reg.View(spec.Name), spec}
}

// Raw returns the view for requests that are not typed.
func (w Writer[T]) Raw() *registry.View { return w.view }

// Check returns the engine's error if a Set of the data cannot succeed. It writes nothing.
func (w Writer[T]) Check(data T) error {
	values, err := w.spec.requests(data)
	if err != nil {
		return err
	}
	return w.spec.check(w.view, values)
}

// Set writes the data in one transaction, each value by the longest request paths of the view. A nil pointer, slice or map writes
// nothing; an empty slice or map unsets. The engine checks the values first. The errors are those of registry.View.Set.
func (w Writer[T]) Set(ctx context.Context, data T) error {
	values, err := w.spec.requests(data)
	if err != nil {
		return err
	}
	return w.spec.write(ctx, w.view, values)
}

// Unset removes the data at the request paths, in one transaction. It is no error if there is none.
func (w Writer[T]) Unset(ctx context.Context, requests ...string) error {
	if len(requests) == 0 {
		return nil
	}
	return w.view.Unset(ctx, requests...)
}

// A View is a view that can be read and written.
type View[T any] struct {
	Reader[T]
	Writer[T]
}

// NewView returns the view of a Spec in an open registry. Generated code calls it.
func NewView[T any](reg *registry.Registry, spec *Spec) View[T] {
	return View[T]{NewReader[T](reg, spec), NewWriter[T](reg, spec)}
}

// Raw returns the view for requests that are not typed.
func (v View[T]) Raw() *registry.View { return v.Reader.view }

// Update reads the view, calls change, which alters the data, and writes the differences. Without stored data, change gets an empty
// T. An error of change is returned as it is. See registry.View.Update about writes of others in between.
func (v View[T]) Update(ctx context.Context, change func(data *T) error) error {
	return v.Raw().Update(ctx, nil, func(current map[string]any) (map[string]any, error) {
		var data T
		if err := decode(current, &data); err != nil {
			return nil, err
		}
		before, err := v.spec().requests(data)
		if err != nil {
			return nil, err
		}
		if err := change(&data); err != nil {
			return nil, err
		}
		after, err := v.spec().requests(data)
		if err != nil {
			return nil, err
		}
		values := map[string]any{}
		for request, value := range after {
			if old, there := before[request]; !there || !jsonvalue.Equal(old, value) {
				values[request] = value
			}
		}
		for request := range before {
			if _, there := after[request]; !there && !overlaps(request, values) {
				values[request] = nil
			}
		}
		if len(values) == 0 {
			return nil, nil
		}
		return values, v.spec().check(v.Raw(), values)
	})
}

func (v View[T]) spec() *Spec { return v.Writer.spec }

// overlaps reports whether a request path leads into one of values, or one of values into the request path.
func overlaps(request string, values map[string]any) bool {
	for other := range values {
		if strings.HasPrefix(other, request+".") || strings.HasPrefix(request, other+".") {
			return true
		}
	}
	return false
}

// decode is registry.Decode with whole numbers of more than 15 digits replaced by the exact values of their 64-bit floats: confdb
// stores the float, and prints the fewest digits that identify it.
func decode(document map[string]any, dst any) error {
	exact := jsonvalue.MapNumbers(document, func(n json.Number) any {
		if len(n) <= 15 || strings.ContainsAny(string(n), ".eE") {
			return n
		}
		float, err := n.Float64()
		if err != nil {
			return n
		}
		return json.Number(strconv.FormatFloat(float, 'f', 0, 64))
	})
	object, _ := exact.(map[string]any)
	return registry.Decode(object, dst)
}

// At returns a request path in which names and indexes replace the placeholders of pattern. If a name cannot be in a path, the
// result is a malformed path, which every access refuses.
func At(pattern string, names ...any) string {
	for _, name := range names {
		text := fmt.Sprint(name)
		if _, isText := name.(string); isText && !path.ValidSubkey(text) {
			return strconv.Quote(text) // the engine and snapd refuse it
		}
		pattern = strings.Replace(pattern, "{}", text, 1)
	}
	return pattern
}

// Marshal encodes a struct and further entries as one JSON object. Generated code calls it.
func Marshal[E any](fields any, entries map[string]E) ([]byte, error) {
	object, err := registry.Values(fields)
	if err != nil {
		return nil, err
	}
	for name, entry := range entries {
		if _, field := object[name]; !field {
			object[name] = entry
		}
	}
	return json.Marshal(object)
}

// Unmarshal decodes a JSON object: the entries called names into the struct fields, and all others into entries. Generated code
// calls it.
func Unmarshal[E any](text []byte, fields any, entries *map[string]E, names ...string) error {
	if err := json.Unmarshal(text, fields); err != nil {
		return err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	for name, part := range raw {
		if slices.Contains(names, name) {
			continue
		}
		var entry E
		if err := json.Unmarshal(part, &entry); err != nil {
			return err
		}
		if *entries == nil {
			*entries = map[string]E{}
		}
		(*entries)[name] = entry
	}
	return nil
}

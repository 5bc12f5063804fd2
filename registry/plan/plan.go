// Package plan computes the smallest writes that bring views to a target, and checks them with the embedded engine
// before anything is written. Its main function is Make. The caller reads the views, and writes the plan with
// registry.Apply.
package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/embedded"
)

// Make plans how to bring views to a target. current maps each view's name to the document that its readers see.
// target maps each view's name to a partial document, as in RFC 7396: null unsets, a list replaces the whole list,
// and what is not named stays. The schema is JSON in the form for `snap sign`. The plan is empty if nothing needs to
// change.
//
// The target may name views in full; the plan has their short names.
//
// Make writes each value by the deepest request path that a rule of the view has for it, since writing a whole map
// unsets what the map leaves out. Request paths of one view never overlap.
//
// If the schema's rules or types refuse the target, the error is a *registry.Error of kind ErrNoView, ErrNoMatch,
// ErrBadRequest or ErrInvalid, with the storage path and the engine's reason.
func Make(schema json.RawMessage, current, target map[string]map[string]any) (registry.Changes, error) {
	parsed, err := confdb.Parsed(schema)
	if err != nil {
		return nil, fmt.Errorf("cannot plan: %w", err)
	}
	if target, err = ByView(idOf(parsed), target); err != nil {
		return nil, err
	}
	seed, changes := registry.Changes{}, registry.Changes{}
	for view, document := range current {
		if parsed.Rules(view) == nil {
			continue // of another confdb-schema
		}
		// The visible data that can be written is enough stored data to check the target against.
		seed[view] = newWrites(parsed, view, nil, document).requests
	}
	for view, partial := range target {
		wanted, err := shapes(partial)
		if err != nil {
			return nil, fmt.Errorf("cannot plan %s: %w", view, err)
		}
		shown, err := shapes(current[view])
		if err != nil {
			return nil, fmt.Errorf("cannot plan %s: %w", view, err)
		}
		if writes := newWrites(parsed, view, shown, wanted).requests; len(writes) > 0 {
			changes[view] = writes
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return changes, check(parsed, schema, seed, changes)
}

// check writes the seed and then the changes to a registry in memory.
func check(parsed *confdb.Schema, schema json.RawMessage, seed, changes registry.Changes) error {
	ctx := context.Background() // nothing here waits
	engine, err := embedded.OpenMemory(ctx, embedded.Options{Documents: []json.RawMessage{schema}})
	if err != nil {
		return fmt.Errorf("cannot plan: %w", err)
	}
	reg := registry.New(engine, idOf(parsed))
	defer reg.Close()
	for view, requests := range seed {
		if len(requests) == 0 {
			continue
		}
		// Data that the schema refuses by now is not the target's fault. Read-only views have no seed.
		if err := reg.Apply(ctx, registry.Changes{view: requests}); err != nil && !refused(err) {
			return fmt.Errorf("cannot plan: %w", err)
		}
	}
	return reg.Apply(ctx, changes)
}

func refused(err error) bool {
	return errors.Is(err, registry.ErrInvalid) || errors.Is(err, registry.ErrNoMatch) ||
		errors.Is(err, registry.ErrBadRequest) || errors.Is(err, registry.ErrNoView) || errors.Is(err, registry.ErrOther)
}

// shapes returns a document in JSON shapes, with numbers as json.Number.
func shapes(document map[string]any) (map[string]any, error) {
	if document == nil {
		return map[string]any{}, nil
	}
	return registry.Values(document)
}

// writes collects the requests to write through one view.
type writes struct {
	schema   *confdb.Schema
	view     string
	shown    map[string]any // what the view shows now
	merged   map[string]any // what the view should show
	requests map[string]any
}

func newWrites(schema *confdb.Schema, view string, shown, wanted map[string]any) *writes {
	w := &writes{schema: schema, view: view, shown: shown, requests: map[string]any{}}
	w.merged, _ = jsonvalue.Merge(shown, wanted).(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		w.add([]string{key}, shown[key], wanted[key])
	}
	for request := range w.requests {
		if w.covered(request) {
			delete(w.requests, request)
		}
	}
	return w
}

// covered reports whether a shorter request path includes this one.
func (w *writes) covered(request string) bool {
	for cut := strings.LastIndexByte(request, '.'); cut > 0; cut = strings.LastIndexByte(request[:cut], '.') {
		if _, ok := w.requests[request[:cut]]; ok {
			return true
		}
	}
	return false
}

// add descends to the leaves of the target and adds those that differ.
func (w *writes) add(at []string, shown, wanted any) {
	if object, ok := wanted.(map[string]any); ok {
		inner, _ := shown.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			w.add(append(slices.Clone(at), key), inner[key], object[key])
		}
		return
	}
	if jsonvalue.EqualStored(shown, wanted) {
		return
	}
	// Use the deepest request path at or above the leaf that has a rule. Without one, the engine reports the error.
	for depth := len(at); depth > 0; depth-- {
		request := strings.Join(at[:depth], ".")
		if !w.schema.Matches(w.view, request, true) {
			continue
		}
		value := wanted
		if depth < len(at) {
			value = lookup(w.merged, at[:depth])
		}
		if jsonvalue.Empty(value) {
			value = nil // confdb stores no empty containers
		}
		w.requests[request] = value
		return
	}
	w.requests[strings.Join(at, ".")] = wanted
}

func lookup(document map[string]any, at []string) any {
	var value any = document
	for _, key := range at {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

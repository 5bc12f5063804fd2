// Package plan computes the smallest writes that bring views to a target, and checks them with the embedded engine
// before anything is written. Its main function is Make. The caller reads the views, and writes the plan with
// registry.Apply.
package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
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
	shaped := [2]map[string]map[string]any{{}, {}}
	for i, documents := range []map[string]map[string]any{current, target} {
		for view, document := range documents {
			if shaped[i][view], err = shapes(document); err != nil {
				return nil, fmt.Errorf("cannot plan %s: %w", view, err)
			}
		}
	}
	return namesOf(parsed, schema).Make(shaped[0], shaped[1])
}

// Make is like the function of that name. Call it to make several plans with one confdb-schema. Documents are in JSON shapes, with
// numbers as json.Number. Make does not change them; the plan may share values with them.
func (n *Names) Make(current, target map[string]map[string]any) (registry.Changes, error) {
	target, err := ByView(n.Schema(), target)
	if err != nil {
		return nil, err
	}
	changes := registry.Changes{}
	for view, wanted := range target {
		if writes := newWrites(n.schema, view, current[view], wanted).requests; len(writes) > 0 {
			changes[view] = writes
		}
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return changes, n.check(current, changes)
}

// check returns the engine's error for changes of documents.
func (n *Names) check(current map[string]map[string]any, changes registry.Changes) error {
	engine, err := n.engine()
	if err != nil {
		return fmt.Errorf("cannot plan: %w", err)
	}
	seeds := registry.Changes{}
	for view, document := range current {
		if n.schema.Rules(view) != nil { // otherwise the view is of another confdb-schema
			// The visible data that can be written is enough stored data to check the target against. Read-only views have none.
			// Data that the schema refuses by now is not the target's fault.
			seeds[view] = newWrites(n.schema, view, nil, document).requests
		}
	}
	before, err := n.sorted(seeds)
	if err != nil {
		return err
	}
	after, err := n.sorted(changes)
	if err != nil {
		return err
	}
	return engine.Try(before, after)
}

// sorted returns changes as a backend takes them, sorted by view.
func (n *Names) sorted(changes registry.Changes) ([]backend.Change, error) {
	var list []backend.Change
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		view, known := n.views[name]
		if !known {
			var err error
			if view, err = backend.ParseViewID(name, n.Schema()); err != nil {
				return nil, &registry.Error{Op: "set", Kind: registry.ErrBadRequest, Message: err.Error(), Reason: err.Error()}
			}
		}
		if len(changes[name]) > 0 {
			list = append(list, backend.Change{View: view, Values: changes[name]})
		}
	}
	return list, nil
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

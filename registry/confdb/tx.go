package confdb

import (
	"errors"
	"fmt"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/view"
)

// A Tx collects changes to a bag. Like snapd, it validates each change when it is made. It is not safe for concurrent
// use.
type Tx struct {
	// Exact keeps the digits of numbers until the commit, as `snapctl set --view` does. Otherwise numbers are 64-bit
	// floats from the start, as over snapd's REST API.
	Exact bool

	schema *Schema
	stored databag.Bag
	bag    databag.Bag
	writes [][]view.Write // each entry was applied together: one request that was set, or several that were unset
	failed error
}

// Begin starts a transaction on the stored data.
func (s *Schema) Begin(stored databag.Bag) *Tx { return &Tx{schema: s, stored: stored, bag: stored} }

// Write sets request paths through a view; nil unsets. It applies and validates each request by itself, in a fixed
// order (see inOrder); snapd's order is random. Write tries a request that the schema refuses again after the others, so
// that a request may depend on another one. The first remaining error makes the transaction unusable. Errors are *Error.
func (t *Tx) Write(view string, values map[string]any) error {
	if t.failed != nil {
		return t.failed
	}
	v, err := t.schema.view(view)
	if err != nil {
		return err
	}
	pending := inOrder(values)
	for len(pending) > 0 {
		var again []requests
		var first error
		for _, some := range pending {
			err := t.write(v, some, values)
			if err == nil {
				continue
			}
			if refused := (*Error)(nil); !errors.As(err, &refused) || refused.Kind != Invalid || some.overlap(pending) {
				t.failed = err
				return err
			}
			if first == nil {
				first = err
			}
			again = append(again, some)
		}
		if len(again) == len(pending) {
			t.failed = first
			return first
		}
		pending = again
	}
	return nil
}

// write sets one request, or unsets several.
func (t *Tx) write(v *view.View, some requests, values map[string]any) error {
	request := some[0].text
	if values[request] == nil {
		return t.unset(v, some)
	}
	normal, err := view.Normal(values[request], t.Exact)
	if err != nil {
		message := fmt.Sprintf(`cannot set "%s" through confdb view %s: %v`, request, v.ID(), err)
		return &Error{Kind: BadRequest, Message: message, Reason: err.Error()}
	}
	writes, err := v.Set(request, normal)
	if err != nil {
		return err
	}
	edit := t.bag.Edit()
	if err := apply(edit, writes); err != nil {
		return other(err)
	}
	bag := edit.Bag()
	if err := t.schema.validate(bag, "cannot write data: "); err != nil {
		return err
	}
	t.bag, t.writes = bag, append(t.writes, writes)
	return nil
}

// unset removes what the requests lead to, rule by rule. Like snapd, it validates after each rule.
func (t *Tx) unset(v *view.View, some requests) error {
	var writes []view.Write
	anew := 0 // number of writes that were last applied again together, because one leads through a list
	bag := t.bag
	for _, request := range some {
		more, err := v.Unset(request.text)
		if err != nil {
			return err
		}
		for _, write := range more {
			writes = append(writes, write)
			if throughList(write.Storage) {
				edit := t.bag.Edit()
				if err = apply(edit, writes); err == nil {
					bag = edit.Bag()
				}
				anew = len(writes)
			} else {
				bag, err = bag.Unset(write.Storage)
			}
			if err != nil {
				return other(err)
			}
			if err := t.schema.validate(bag, "cannot unset data: "); err != nil {
				return err
			}
		}
	}
	// Two entries, so that Commit applies the writes in the same order: later ones may only fit after the removals
	// from lists.
	t.bag, t.writes = bag, append(t.writes, writes[:anew], writes[anew:])
	return nil
}

// Bag returns the data with all changes so far.
func (t *Tx) Bag() databag.Bag { return t.bag }

// Altered returns the storage paths that were written or removed, sorted and unique.
func (t *Tx) Altered() []string {
	var altered []string
	for _, writes := range t.writes {
		for _, write := range writes {
			altered = append(altered, write.Storage.Bare())
		}
	}
	slices.Sort(altered)
	return slices.Compact(altered)
}

// Ephemeral reports whether a written path may hold ephemeral data. The check itself can fail, with the message of
// snapd's daemon.
func (t *Tx) Ephemeral() (bool, error) {
	found := false
	for _, write := range slices.Concat(t.writes...) {
		ephemeral, err := t.schema.storage.Ephemeral(write.Storage)
		if err != nil {
			message := fmt.Sprintf("cannot check if write affects ephemeral data: %v", err)
			return false, &Error{Kind: Other, Message: message, Reason: err.Error()}
		}
		found = found || ephemeral
	}
	return found, nil
}

// Commit applies the changes to the stored data, which may differ from that of Begin. It turns all numbers into
// 64-bit floats, validates the result and returns it.
func (t *Tx) Commit(stored databag.Bag) (databag.Bag, error) {
	if t.failed != nil {
		return stored, t.failed
	}
	if !t.Exact && stored.Same(t.stored) {
		return t.bag, nil
	}
	edit := stored.Edit()
	for _, writes := range t.writes {
		if t.Exact {
			var err error
			if writes, err = inexact(writes); err != nil {
				return stored, other(err)
			}
		}
		if err := apply(edit, writes); err != nil {
			return stored, other(err)
		}
	}
	bag := edit.Bag()
	if err := t.schema.validate(bag, ""); err != nil {
		return stored, err
	}
	return bag, nil
}

// inexact returns a copy of writes with all numbers as 64-bit floats.
func inexact(writes []view.Write) ([]view.Write, error) {
	writes = slices.Clone(writes)
	for i, write := range writes {
		if write.Value == nil {
			continue
		}
		normal, err := view.Normal(write.Value.Value(), false)
		if err != nil {
			return nil, err
		}
		if writes[i].Value, err = databag.FromValue(normal); err != nil {
			return nil, err
		}
	}
	return writes, nil
}

func other(err error) *Error { return &Error{Kind: Other, Message: err.Error(), Reason: err.Error()} }

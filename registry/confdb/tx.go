package confdb

import (
	"errors"
	"fmt"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/view"
)

// A Tx collects changes over a bag; each is validated as it comes, as snapd does. It is not safe for concurrent use.
type Tx struct {
	// Exact keeps the digits of numbers until the commit, as `snapctl set --view` does. Otherwise they are 64-bit
	// floats from the start, as through snapd's REST API.
	Exact bool

	schema *Schema
	stored databag.Bag
	bag    databag.Bag
	writes [][]view.Write // that were applied together: of a request that was set, or of some unset
	failed error
}

// Begin starts a transaction over what is stored.
func (s *Schema) Begin(stored databag.Bag) *Tx { return &Tx{schema: s, stored: stored, bag: stored} }

// Write sets (nil: unsets) request paths through a view, each by itself and validated as such, in a fixed order where
// snapd's is random (see inOrder). What the schema refuses is tried again after the others, so that a pair of which one
// needs the other can be written in one call. The first error ends it and makes the transaction unusable. Errors are
// *Error.
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

// write sets one request, or unsets those that are unset together.
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

// unset removes by one rule after the other and validates after each, as snapd does.
func (t *Tx) unset(v *view.View, some requests) error {
	var writes []view.Write
	anew := 0 // how many of them were last made anew, because one leads through a list
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
	// Apart, as a commit shall make them in the same order: what follows may only fit once what is in lists is gone.
	t.bag, t.writes = bag, append(t.writes, writes[:anew], writes[anew:])
	return nil
}

// Bag returns the data with all changes so far.
func (t *Tx) Bag() databag.Bag { return t.bag }

// Altered returns the storage paths written or removed, sorted, each once.
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

// Ephemeral tells whether a path written may hold ephemeral data; the check itself can fail, with the daemon's message.
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

// Commit applies the changes to what is stored by now, as JSON would carry them — numbers are floats from here on —
// validates all of it and returns it.
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

// inexact returns a copy of writes in which all numbers are floats.
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

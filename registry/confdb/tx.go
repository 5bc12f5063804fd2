package confdb

import (
	"fmt"
	"maps"
	"slices"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
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
	writes []view.Write
	failed error
}

// Begin starts a transaction over what is stored.
func (s *Schema) Begin(stored databag.Bag) *Tx { return &Tx{schema: s, stored: stored, bag: stored} }

// Write sets (nil: unsets) request paths through a view, each by itself and validated as such, in a fixed order where
// snapd's is random: by request path, a prefix before what is longer, indexes by number. The first error ends it and
// makes the transaction unusable. Errors are *Error.
func (t *Tx) Write(view string, values map[string]any) error {
	if t.failed != nil {
		return t.failed
	}
	v, err := t.schema.view(view)
	if err != nil {
		return err
	}
	for _, request := range slices.SortedFunc(maps.Keys(values), byRequest) {
		if err := t.write(v, request, values[request]); err != nil {
			t.failed = err
			return err
		}
	}
	return nil
}

func byRequest(a, b string) int {
	x, errX := path.ParseRequest(a)
	y, errY := path.ParseRequest(b)
	if errX == nil && errY == nil {
		for i := range min(len(x), len(y)) {
			if x[i].Kind == path.Index && y[i].Kind == path.Index && x[i].Index() != y[i].Index() {
				return x[i].Index() - y[i].Index()
			}
			if x[i].Bare() != y[i].Bare() {
				break
			}
		}
		if order := path.Compare(x, y); order != 0 {
			return order
		}
	}
	if a < b {
		return -1
	}
	return 1
}

func (t *Tx) write(v *view.View, request string, value any) error {
	if value == nil {
		return t.unset(v, request)
	}
	normal, err := view.Normal(value, t.Exact)
	if err != nil {
		message := fmt.Sprintf(`cannot set "%s" through confdb view %s: %v`, request, v.ID(), err)
		return &Error{Kind: BadRequest, Message: message, Reason: err.Error()}
	}
	writes, err := v.Set(request, normal)
	if err != nil {
		return err
	}
	bag := t.bag
	for _, write := range writes {
		if bag, err = apply(bag, write); err != nil {
			return &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
		}
	}
	if err := t.schema.validate(bag, "cannot write data: "); err != nil {
		return err
	}
	t.bag, t.writes = bag, append(t.writes, writes...)
	return nil
}

// unset removes by one rule after the other and validates after each, as snapd does.
func (t *Tx) unset(v *view.View, request string) error {
	writes, err := v.Unset(request)
	if err != nil {
		return err
	}
	bag := t.bag
	for _, write := range writes {
		if bag, err = apply(bag, write); err != nil {
			return &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
		}
		if err := t.schema.validate(bag, "cannot unset data: "); err != nil {
			return err
		}
	}
	t.bag, t.writes = bag, append(t.writes, writes...)
	return nil
}

func apply(bag databag.Bag, write view.Write) (databag.Bag, error) {
	if write.Value == nil {
		return bag.Unset(write.Storage)
	}
	return bag.Set(write.Storage, write.Value)
}

// Bag returns the data with all changes so far.
func (t *Tx) Bag() databag.Bag { return t.bag }

// Altered returns the storage paths written or removed, sorted, each once.
func (t *Tx) Altered() []string {
	altered := make([]string, len(t.writes))
	for i, write := range t.writes {
		altered[i] = write.Storage.Bare()
	}
	slices.Sort(altered)
	return slices.Compact(altered)
}

// Ephemeral tells whether a path written may hold ephemeral data; the check itself can fail, with the daemon's message.
func (t *Tx) Ephemeral() (bool, error) {
	found := false
	for _, write := range t.writes {
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
	bag := stored
	for _, write := range t.writes {
		if write.Value != nil && t.Exact {
			normal, err := view.Normal(write.Value.Value(), false)
			if err != nil {
				return stored, &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
			}
			if write.Value, err = databag.FromValue(normal); err != nil {
				return stored, &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
			}
		}
		var err error
		if bag, err = apply(bag, write); err != nil {
			return stored, &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
		}
	}
	if err := t.schema.validate(bag, ""); err != nil {
		return stored, err
	}
	return bag, nil
}

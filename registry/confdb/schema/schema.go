// Package schema parses storage schemas and checks data against them: which types there are, what each accepts, which
// may stand at a storage path, and what of it is ephemeral or secret. Messages are worded as snapd words them.
package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// A Type is a type definition of a storage schema.
type Type interface {
	// Name is the type's name in messages, such as "int".
	Name() string

	// check tells what is wrong with a node, or nil.
	check(n *databag.Node) *fault
	// step returns the types that one accessor leads to.
	step(accessor path.Accessor) ([]Type, error)
	// here returns the types that the definition stands for at the end of a path: itself, or its alternatives.
	here() ([]Type, error)
	// below returns every definition directly inside.
	below() []Type
	// marks returns what is declared of the definition itself.
	marks() *common
}

// A Schema is a parsed storage schema.
type Schema struct{ root *mapType }

// common is what every definition may declare.
type common struct {
	ephemeral bool
	secret    bool
	accepted  databag.Mark
}

func (c *common) marks() *common { return c }

// A fault is where data does not fit and why.
type fault struct {
	path  []string // innermost first
	cause string
}

func (f *fault) under(accessor string) *fault {
	f.path = append(f.path, accessor)
	return f
}

// at returns the path from the outside in: dots between keys, [i] for elements.
func (f *fault) at() string {
	var text strings.Builder
	for i := len(f.path) - 1; i >= 0; i-- {
		if i < len(f.path)-1 && f.path[i][0] != '[' {
			text.WriteByte('.')
		}
		text.WriteString(f.path[i])
	}
	return text.String()
}

// A ValidationError says which element of the data the schema refuses.
type ValidationError struct {
	Path  string // storage path; "" for the top level
	Cause string
}

func (e *ValidationError) Error() string {
	if e.Path == "" {
		return "cannot accept top level element: " + e.Cause
	}
	return fmt.Sprintf("cannot accept element in %q: %s", e.Path, e.Cause)
}

// Validate checks all of a bag. Parts that are shared with a bag that was accepted before are not looked at again. The
// error is a *ValidationError.
func (s *Schema) Validate(bag databag.Bag) error {
	if fault := accept(s.root, bag.Root()); fault != nil {
		return &ValidationError{Path: fault.at(), Cause: fault.cause}
	}
	return nil
}

// accept is check with memory.
func accept(t Type, n *databag.Node) *fault {
	mark := &t.marks().accepted
	if n.Marked(mark) {
		return nil
	}
	fault := t.check(n)
	if fault == nil {
		n.Mark(mark)
	}
	return fault
}

// A PathError says from where on a storage path cannot be followed.
type PathError struct {
	Followed int // accessors that could be followed
	Cause    error
}

func (e *PathError) Error() string { return e.Cause.Error() }

// At returns the types that may stand at a storage path. A placeholder over fixed entries and a list of alternatives
// lead on through all that can be followed; the error, a *PathError, comes only if there is none.
func (s *Schema) At(storage path.Path) ([]Type, error) { return follow(s.root, storage, 0) }

func follow(t Type, p path.Path, at int) ([]Type, error) {
	if at == len(p) {
		types, err := t.here()
		if err != nil {
			return nil, &PathError{Followed: at, Cause: err}
		}
		return types, nil
	}
	// Alternatives are followed one by one, so that each may fail by itself.
	if alternatives, ok := resolve(t).(*alternatives); ok {
		return collect(alternatives.types, p, at)
	}
	next, err := t.step(p[at])
	if err != nil {
		return nil, &PathError{Followed: at, Cause: err}
	}
	return collect(next, p, at+1)
}

func collect(types []Type, p path.Path, at int) ([]Type, error) {
	var found []Type
	var last, internal error
	for _, t := range types {
		more, err := follow(t, p, at)
		if Internal(err) {
			internal = err
		}
		if err != nil {
			last = err
			continue
		}
		found = append(found, more...)
	}
	if len(found) == 0 {
		return nil, last
	}
	if internal != nil && !hasAny(found) {
		return nil, internal
	}
	return found, nil
}

// hasAny tells whether one of the types takes everything: snapd then does not look at those behind it.
func hasAny(types []Type) bool {
	return slices.ContainsFunc(types, func(t Type) bool { _, ok := resolve(t).(*anyType); return ok })
}

// Ephemeral tells whether a type on the way of a storage path is ephemeral, or anything below its end. Unlike At it
// fails as soon as one of several types on the way cannot be followed (snapd 2.77).
func (s *Schema) Ephemeral(storage path.Path) (bool, error) { return ephemeral(s.root, storage) }

func ephemeral(t Type, p path.Path) (bool, error) {
	if t.marks().ephemeral {
		return true, nil
	}
	if len(p) == 0 {
		return ephemeralBelow(t), nil
	}
	if list, ok := resolve(t).(*alternatives); ok {
		return anyEphemeral(list.types, p)
	}
	next, err := t.step(p[0])
	if err != nil {
		return false, err
	}
	return anyEphemeral(next, p[1:])
}

func anyEphemeral(types []Type, p path.Path) (bool, error) {
	for _, t := range types {
		if found, err := ephemeral(t, p); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

func ephemeralBelow(t Type) bool {
	for _, inner := range t.below() {
		if inner.marks().ephemeral || ephemeralBelow(inner) {
			return true
		}
	}
	return false
}

// errBeyond is for scalars: a path cannot go on below them.
func errBeyond(name string) error { return fmt.Errorf("cannot follow path beyond %q type", name) }

// expected tells that a node is of another JSON type than wanted, or nil.
func expected(n *databag.Node, name string, want databag.Kind) *fault {
	switch n.Kind() {
	case want:
		return nil
	case databag.Null:
		return &fault{cause: fmt.Sprintf("cannot accept null value for %q type", name)}
	}
	return &fault{cause: fmt.Sprintf("expected %s type but value was %s", name, n.Kind())}
}

// scalar is what the scalar types share.
type scalar struct{ common }

func (*scalar) below() []Type { return nil }

func element(index int) string { return "[" + strconv.Itoa(index) + "]" }

var errAlt = errors.New("internal error: unexpected Alt schema type along path")

// Internal tells whether an error of At is one that snapd words as an internal error, without saying where.
func Internal(err error) bool { return errors.Is(err, errAlt) }

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Cause }

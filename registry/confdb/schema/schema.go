// Package schema parses storage schemas and checks data against them. Its main type is Schema. It returns the types
// at a storage path, and whether data is ephemeral or secret. Messages are in snapd's words. Views and their rules
// are in package view.
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
	// Name returns the type's name in messages, such as "int".
	Name() string

	// check returns what is wrong with a node, or nil.
	check(n *databag.Node) *fault
	// step returns the types behind one accessor.
	step(accessor path.Accessor) ([]Type, error)
	// here returns the types of the definition at the end of a path: itself or its alternatives.
	here() ([]Type, error)
	// below returns the definitions directly inside.
	below() []Type
	// marks returns the marks of the definition itself.
	marks() *common
}

// A Schema is a parsed storage schema.
type Schema struct {
	root    *mapType
	aliases map[string]Type
}

// common has the marks of every definition.
type common struct {
	ephemeral bool
	secret    bool
	accepted  databag.Mark
}

func (c *common) marks() *common { return c }

// A fault is a reason to refuse data, with its place.
type fault struct {
	path  []string // innermost first
	cause string
}

func (f *fault) under(accessor string) *fault {
	f.path = append(f.path, accessor)
	return f
}

// at returns the path, outermost first: dots between keys, [i] for elements.
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

// A ValidationError is an element of the data that the schema refuses.
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

// Validate checks a whole bag. It skips parts that are shared with a bag it has accepted. The error is a
// *ValidationError.
func (s *Schema) Validate(bag databag.Bag) error {
	if fault := accept(s.root, bag.Root()); fault != nil {
		return &ValidationError{Path: fault.at(), Cause: fault.cause}
	}
	return nil
}

// accept is check, skipping nodes that the type has accepted before.
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

// A PathError says where a storage path leaves the schema.
type PathError struct {
	Followed int // number of accessors inside the schema
	Cause    error
}

func (e *PathError) Error() string { return e.Cause.Error() }

// At returns the types at a storage path. It follows all entries for a placeholder, and all alternatives. The error
// is a *PathError if none can be followed.
func (s *Schema) At(storage path.Path) ([]Type, error) { return follow(s.root, storage, 0) }

func follow(t Type, p path.Path, at int) ([]Type, error) {
	if at == len(p) {
		types, err := t.here()
		if err != nil {
			return nil, &PathError{Followed: at, Cause: err}
		}
		return types, nil
	}
	// Each alternative may fail by itself.
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

// hasAny reports whether one of the types accepts everything. snapd ignores the types behind it.
func hasAny(types []Type) bool {
	return slices.ContainsFunc(types, func(t Type) bool { _, ok := resolve(t).(*anyType); return ok })
}

// Ephemeral reports whether a type along a storage path, or below its end, is ephemeral. Unlike At it fails as soon
// as one of several types cannot be followed, as snapd 2.77 does.
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

// errBeyond is the error of a path that continues below a scalar.
func errBeyond(name string) error { return fmt.Errorf("cannot follow path beyond %q type", name) }

// expected returns a fault if a node does not have the wanted JSON type, or nil.
func expected(n *databag.Node, name string, want databag.Kind) *fault {
	switch n.Kind() {
	case want:
		return nil
	case databag.Null:
		return &fault{cause: fmt.Sprintf("cannot accept null value for %q type", name)}
	}
	return &fault{cause: fmt.Sprintf("expected %s type but value was %s", name, n.Kind())}
}

// scalar has the common parts of scalar types.
type scalar struct{ common }

func (*scalar) below() []Type { return nil }

func element(index int) string { return "[" + strconv.Itoa(index) + "]" }

var errAlt = errors.New("internal error: unexpected Alt schema type along path")

// Internal reports whether snapd words an error of At as an internal error, without the path.
func Internal(err error) bool { return errors.Is(err, errAlt) }

// Unwrap returns the cause.
func (e *PathError) Unwrap() error { return e.Cause }

package schema

import (
	"fmt"
	"strings"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// alternatives accepts data that one of several types accepts.
type alternatives struct {
	common
	types []Type
	at    [][]string // where each type is in the list and the lists inside of it
}

func (*alternatives) Name() string    { return "alt" }
func (t *alternatives) below() []Type { return t.types }
func (t *alternatives) here() ([]Type, error) {
	var types []Type
	for _, alternative := range t.types {
		more, err := alternative.here()
		if err != nil && hasAny(types) {
			break // snapd stops here
		}
		if err != nil {
			return nil, err
		}
		types = append(types, more...)
	}
	return types, nil
}

func (t *alternatives) step(accessor path.Accessor) ([]Type, error) {
	var found []Type
	var last error
	for _, alternative := range t.types {
		types, err := alternative.step(accessor)
		if err != nil {
			last = err
			continue
		}
		found = append(found, types...)
	}
	if len(found) == 0 {
		return nil, last
	}
	return found, nil
}

func (t *alternatives) check(n *databag.Node) *fault {
	var text strings.Builder
	text.WriteString("no matching schema:")
	for i, alternative := range t.types {
		fault := accept(alternative, n)
		if fault == nil {
			return nil
		}
		text.WriteString("\n\t")
		if i > 0 {
			text.WriteString("or ")
		}
		if len(fault.path) > 0 {
			fmt.Fprintf(&text, "...%q: ", fault.at())
		}
		text.WriteString(fault.cause)
	}
	return &fault{cause: text.String()}
}

// reference is a use of an alias. Its marks are its own; everything else is the alias's.
type reference struct {
	common
	name string // of the alias
	to   Type
}

func (t *reference) Name() string                                { return t.to.Name() }
func (t *reference) check(n *databag.Node) *fault                { return accept(t.to, n) }
func (t *reference) step(accessor path.Accessor) ([]Type, error) { return t.to.step(accessor) }
func (t *reference) below() []Type                               { return t.to.below() }

func (t *reference) here() ([]Type, error) {
	if _, ok := t.to.(*alternatives); ok {
		return nil, errAlt
	}
	return []Type{t}, nil
}

// resolve returns the type of a reference, or any other type unchanged.
func resolve(t Type) Type {
	if reference, ok := t.(*reference); ok {
		return reference.to
	}
	return t
}

// MapLike reports whether field filters apply to values of the type.
func MapLike(t Type) bool {
	switch resolve(t).(type) {
	case *mapType, *anyType:
		return true
	}
	return false
}

// Compatible reports whether two lists of types have one in common. int and number are the same, and any matches all.
func Compatible(a, b []Type) bool {
	for _, x := range a {
		for _, y := range b {
			if family(x) == family(y) || family(x) == "any" || family(y) == "any" {
				return true
			}
		}
	}
	return false
}

func family(t Type) string {
	if name := t.Name(); name != "int" {
		return name
	}
	return "number"
}

package schema

import (
	"errors"
	"fmt"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// Errors of Public.
var (
	// ErrUnauthorized means that all data is secret.
	ErrUnauthorized = errors.New("unauthorized access")
	// ErrAbsent means that there is no data at the path.
	ErrAbsent = errors.New("no data")
)

func secretBelow(t Type) bool {
	for _, inner := range t.below() {
		if inner.marks().secret || secretBelow(inner) {
			return true
		}
	}
	return false
}

// Secret reports whether a type along a storage path, or below its end, is secret.
func (s *Schema) Secret(storage path.Path) bool { return secret(s.root, storage) }

func secret(t Type, p path.Path) bool {
	if t.marks().secret || len(p) == 0 && secretBelow(t) {
		return true
	}
	if len(p) == 0 {
		return false
	}
	next, rest := []Type(nil), p
	if list, ok := resolve(t).(*alternatives); ok {
		next = list.types
	} else if below, err := t.step(p[0]); err == nil {
		next, rest = below, p[1:]
	}
	for _, t := range next {
		if secret(t, rest) {
			return true
		}
	}
	return false
}

// Public returns a bag without the secrets along a storage path and below its end. The error is ErrUnauthorized,
// ErrAbsent, or names a container of the wrong shape.
func (s *Schema) Public(bag databag.Bag, storage path.Path) (databag.Bag, error) {
	root, err := public(s.root, bag.Root(), storage)
	if err != nil {
		return databag.Bag{}, err
	}
	return databag.FromRoot(root), nil
}

func public(t Type, n *databag.Node, p path.Path) (*databag.Node, error) {
	switch t := t.(type) {
	case *mapType:
		return t.public(n, p)
	case *arrayType:
		return t.public(n, p)
	case *alternatives:
		return t.public(n, p)
	case *reference: // the type of an alias holds no secrets, so the path is not checked
	default:
		// Also for "any", whatever the data is.
		if len(p) > 0 {
			return nil, errors.New("cannot follow path beyond scalar type")
		}
	}
	if t.marks().secret {
		return nil, ErrUnauthorized
	}
	return n, nil
}

func (t *mapType) public(n *databag.Node, p path.Path) (*databag.Node, error) {
	if len(p) > 0 && p[0].List() {
		return nil, fmt.Errorf("cannot use %q as key in map", p[0].Bare())
	}
	if t.marks().secret || t.keysMark != nil && t.keysMark.secret || t.values != nil && t.values.marks().secret {
		return nil, ErrUnauthorized
	}
	if n.Kind() != databag.Object || n.Empty() {
		return nil, errors.New("internal error: expected map to contain data")
	}
	if t.entries == nil && t.values == nil {
		return n, nil // any value is allowed, and none is secret
	}
	if len(p) > 0 && p[0].Kind == path.Key {
		if n.Kid(p[0].Name) == nil {
			return nil, ErrAbsent
		}
	}
	cut, err := n.Filter(func(key string, kid *databag.Node) (*databag.Node, error) {
		rest := p
		if len(p) > 0 {
			if p[0].Kind == path.Key && p[0].Name != key {
				return nil, nil
			}
			rest = p[1:]
		}
		kind := t.values
		if t.entries != nil {
			if kind = t.entries[key]; len(p) > 0 && p[0].Kind == path.Key && kind.marks().secret {
				return nil, ErrUnauthorized
			}
		}
		kept, err := public(kind, kid, rest)
		if (len(p) == 0 || p[0].Open()) && (errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrAbsent)) {
			return nil, nil
		}
		return kept, err
	})
	if err == nil && cut == nil {
		err = ErrUnauthorized
	}
	return cut, err
}

func (t *arrayType) public(n *databag.Node, p path.Path) (*databag.Node, error) {
	if len(p) > 0 && !p[0].List() {
		return nil, fmt.Errorf("key %q cannot be used to index array", p[0].Bare())
	}
	if t.marks().secret || t.values.marks().secret {
		return nil, ErrUnauthorized
	}
	var rest path.Path
	if len(p) > 0 {
		rest = p[1:]
		if p[0].Kind == path.Index {
			return t.publicAt(n, p[0], rest)
		}
	}
	cut, err := n.Filter(func(_ string, kid *databag.Node) (*databag.Node, error) {
		kept, err := public(t.values, kid, rest)
		if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrAbsent) {
			return nil, nil
		}
		return kept, err
	})
	if err == nil && cut == nil {
		err = ErrUnauthorized
	}
	return cut, err
}

// publicAt removes the secrets of one element and keeps the others. An element that is only secret is
// ErrUnauthorized. (snapd removes it from the list, so that the index leads to its neighbour, including the
// neighbour's secrets.)
func (t *arrayType) publicAt(n *databag.Node, index path.Accessor, rest path.Path) (*databag.Node, error) {
	if n.Kind() != databag.List || index.Index() >= len(n.Kids()) {
		return nil, ErrAbsent
	}
	kept, err := public(t.values, n.Kids()[index.Index()], rest)
	if err != nil {
		return nil, err
	}
	return n.With(index, kept), nil
}

// public follows the first alternative that accepts the data.
func (t *alternatives) public(n *databag.Node, p path.Path) (*databag.Node, error) {
	for _, alternative := range t.types {
		if accept(alternative, n) == nil {
			return public(alternative, n, p)
		}
	}
	return nil, errors.New("internal error: found no matching alternative")
}

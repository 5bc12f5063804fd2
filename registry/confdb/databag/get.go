package databag

import (
	"errors"
	"fmt"
	"strconv"

	"aspects-poc/registry/confdb/path"
)

// ErrNoData means that nothing is stored at a path.
var ErrNoData = errors.New("no data")

// Get reads a storage path and returns JSON shapes, with numbers as json.Number. An open key placeholder gives an
// object of entries, and an open index placeholder a list. Constraints are scalars: they choose the entry of an open
// key placeholder by its name, and restrict field filters. The error is ErrNoData, or names a container of the wrong
// shape.
func (b Bag) Get(storage path.Path, constraints map[string]any) (any, error) {
	return get(b.Root(), storage, 0, constraints)
}

func get(n *Node, p path.Path, at int, constraints map[string]any) (any, error) {
	if at == len(p) {
		return n.Value(), nil
	}
	accessor := p[at]
	if err := n.fits(accessor, p[:at], p[:at]); err != nil {
		return nil, err
	}
	switch accessor.Kind {
	case path.Key, path.Index:
		kid := n.step(accessor)
		if kid == nil || !kid.passes(accessor.Filters, constraints) {
			return nil, ErrNoData
		}
		return get(kid, p, at+1, constraints)
	case path.KeyPlaceholder:
		return getEntries(n, p, at, constraints)
	}
	return getElements(n, p, at, constraints)
}

func getEntries(n *Node, p path.Path, at int, constraints map[string]any) (any, error) {
	only, constrained := constraints[p[at].Name]
	var entries map[string]any
	most := len(n.kids)
	if constrained || len(p[at].Filters) > 0 {
		most = 0 // few will match
	}
	for i, kid := range n.kids {
		if constrained && only != n.keys.names[i] || !kid.passes(p[at].Filters, constraints) {
			continue
		}
		// Entries that are scalars or have the wrong shape are skipped.
		if value, err := get(kid, p, at+1, constraints); err == nil {
			if entries == nil {
				entries = make(map[string]any, most)
			}
			entries[n.keys.names[i]] = value
		}
	}
	if entries == nil {
		return nil, ErrNoData
	}
	return entries, nil
}

func getElements(n *Node, p path.Path, at int, constraints map[string]any) (any, error) {
	elements := make([]any, 0, len(n.kids))
	found := false
	for _, kid := range n.kids {
		if !kid.passes(p[at].Filters, constraints) {
			continue
		}
		if at+1 < len(p) && kid.kind < Object && kid.kind != Null {
			continue
		}
		value, err := get(kid, p, at+1, constraints)
		if err != nil && !errors.Is(err, ErrNoData) {
			return nil, err
		}
		found = found || err == nil
		elements = append(elements, value) // nil without data, to keep positions
	}
	if !found {
		return nil, ErrNoData
	}
	return elements, nil
}

// step returns the kid at a key or index, or nil.
func (n *Node) step(accessor path.Accessor) *Node {
	if accessor.Kind == path.Key {
		return n.Kid(accessor.Name)
	}
	if index := accessor.Index(); index < len(n.kids) {
		return n.kids[index]
	}
	return nil
}

// fits returns an error if an accessor cannot lead into the node at a path. A null (possible only under `any`) counts
// as an empty object.
func (n *Node) fits(accessor path.Accessor, at, scalarAt path.Path) error {
	switch {
	case n.kind == List && !accessor.List():
		return fmt.Errorf("cannot use %q to index list at path %q", accessor.Bare(), at.Bare())
	case (n.kind == Object || n.kind == Null) && accessor.List():
		return fmt.Errorf("cannot use %q to access map at path %q", accessor.Bare(), at.Bare())
	case n.kind < Object && n.kind != Null:
		return fmt.Errorf("cannot decode databag at path %q: expected container type but got %s", scalarAt.Bare(), n.kind)
	}
	return nil
}

// passes reports whether the filters accept the node. They accept a node that is not an object, and an object whose
// fields equal the constraints.
func (n *Node) passes(filters []path.Filter, constraints map[string]any) bool {
	if n.kind != Object {
		return true
	}
	for _, filter := range filters {
		want, constrained := constraints[filter.Param]
		if !constrained {
			continue
		}
		field := n.Kid(filter.Field)
		if field == nil || !field.is(want) {
			return false
		}
	}
	return true
}

// is reports whether the node is this scalar, by JSON type and value.
func (n *Node) is(scalar any) bool {
	switch scalar := scalar.(type) {
	case string:
		return n.kind == String && n.text == scalar
	case bool:
		return n.kind == Bool && n.text == strconv.FormatBool(scalar)
	case nil:
		return n.kind == Null
	}
	if n.kind != Number {
		return false
	}
	other, err := FromValue(scalar)
	return err == nil && equal(n, other)
}

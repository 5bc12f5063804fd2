package databag

import (
	"fmt"
	"slices"

	"aspects-poc/registry/confdb/path"
)

// Set returns the bag with a value at a storage path of keys and indexes. What is missing on the way is created, and a
// scalar in the way gives way. Keys whose value is null are left out of objects, but not of objects inside lists. The
// error tells of a container of the wrong shape, or of an index beyond the end of a list (at most one past it appends).
func (b Bag) Set(storage path.Path, value *Node) (Bag, error) {
	root, err := set(b.Root(), storage, 0, withoutNulls(value))
	if err != nil {
		return b, err
	}
	return Bag{root}, nil
}

func set(n *Node, p path.Path, at int, value *Node) (*Node, error) {
	if at == len(p) {
		return value, nil
	}
	accessor := p[at]
	if n == nil || n.kind < Object {
		if n = nothing; accessor.List() {
			n = newList(nil)
		}
	}
	if err := n.fits(accessor, p[:at], p[:at]); err != nil {
		return nil, err
	}
	if accessor.List() && accessor.Index() > len(n.kids) {
		return nil, fmt.Errorf("cannot access %q: list has length %d", p[:at+1].Bare(), len(n.kids))
	}
	kid, err := set(n.step(accessor), p, at+1, value)
	if err != nil {
		return nil, err
	}
	return n.With(accessor, kid), nil
}

// With returns the container with another kid at a key or index.
func (n *Node) With(accessor path.Accessor, kid *Node) *Node {
	if n.kind == List {
		index := accessor.Index()
		if index == len(n.kids) {
			return newList(append(n.kids[:index:index], kid))
		}
		kids := slices.Clone(n.kids)
		kids[index] = kid
		return newList(kids)
	}
	index, found := slices.BinarySearch(n.keys.names, accessor.Name)
	if found {
		kids := slices.Clone(n.kids)
		kids[index] = kid
		return newObject(n.keys, kids)
	}
	names := slices.Insert(slices.Clone(n.keys.names), index, accessor.Name)
	return newObject(&Keys{names: names}, slices.Insert(slices.Clone(n.kids), index, kid))
}

// withoutNulls returns an object without the keys whose value is null, recursively but not inside lists. An object that
// loses all its keys stays, empty.
func withoutNulls(n *Node) *Node {
	if n.kind != Object {
		return n
	}
	names, kids, same := make([]string, 0, len(n.kids)), make([]*Node, 0, len(n.kids)), true
	for i, kid := range n.kids {
		if kid.kind == Null {
			same = false
			continue
		}
		kept := withoutNulls(kid)
		same = same && kept == kid
		names, kids = append(names, n.keys.names[i]), append(kids, kept)
	}
	if same {
		return n
	}
	return newObject(&Keys{names: names}, kids)
}

// Unset returns the bag without what is at a storage path; open placeholders apply to all entries. A map or list that
// becomes empty is removed with it, and so on upwards. What is not there is no error; a container of the wrong shape is.
func (b Bag) Unset(storage path.Path) (Bag, error) {
	root, err := unset(b.Root(), storage, 0)
	switch {
	case err != nil:
		return b, err
	case root == nil:
		return Bag{}, nil
	}
	return Bag{root}, nil
}

// unset returns nil where nothing is left of the node.
func unset(n *Node, p path.Path, at int) (*Node, error) {
	if at == len(p) {
		return nil, nil
	}
	accessor := p[at]
	if err := n.fits(accessor, p[:at], p[:at+1]); err != nil {
		return nil, err
	}
	if n.kind == Null {
		return n, nil
	}
	kids := make([]*Node, 0, len(n.kids))
	var names []string
	same := true
	for i, kid := range n.kids {
		kept := kid
		if accessor.Open() || accessor.Kind == path.Index && accessor.Index() == i ||
			accessor.Kind == path.Key && accessor.Name == n.keys.names[i] {
			var err error
			if kept, err = unset(kid, p, at+1); err != nil {
				return nil, err
			}
		}
		same = same && kept == kid
		if kept == nil {
			continue
		}
		if n.kind == Object {
			names = append(names, n.keys.names[i])
		}
		kids = append(kids, kept)
	}
	switch {
	case len(kids) == 0 && (!same || accessor.Open() || at+1 < len(p)):
		return nil, nil
	case same:
		return n, nil // so does an empty container that the path ends in
	case n.kind == List:
		return newList(kids), nil
	case len(names) == len(n.kids):
		return newObject(n.keys, kids), nil
	}
	return newObject(&Keys{names: names}, kids), nil
}

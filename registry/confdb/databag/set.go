package databag

import (
	"slices"

	"aspects-poc/registry/confdb/path"
)

// Set returns the bag with a value at a storage path of keys and indexes. It creates missing containers and replaces
// scalars on the way. Keys with null are left out of objects, except in objects inside lists. The error names a
// container of the wrong shape, or an index beyond the end of a list; the index of the end appends.
func (b Bag) Set(storage path.Path, value *Node) (Bag, error) {
	edit := b.Edit()
	if err := edit.Set(storage, value); err != nil {
		return b, err
	}
	return edit.Bag(), nil
}

// With returns the container with kid at a key or index.
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
	keys := &Keys{names: names, near: n.keys.mark.Load(), added: accessor.Name}
	return newObject(keys, slices.Insert(slices.Clone(n.kids), index, kid))
}

// withoutNulls returns an object without its null keys, recursively but not inside lists. An object that loses all
// keys remains, empty.
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

// Unset returns the bag without the data at storage paths. The paths apply together: an index means the same element
// whatever the other paths remove. Open placeholders apply to all entries. Containers that become empty are removed
// as well. Missing data is no error; a container of the wrong shape is.
func (b Bag) Unset(storage ...path.Path) (Bag, error) {
	if len(storage) == 0 {
		return b, nil
	}
	root, err := unset(b.Root(), storage, 0)
	switch {
	case err != nil:
		return b, err
	case root == nil:
		return Bag{}, nil
	}
	return Bag{root}, nil
}

// unset returns a node, to which all paths lead, without their data. It returns nil if nothing is left.
func unset(n *Node, paths []path.Path, at int) (*Node, error) {
	on := false // a path continues below the kids or has a placeholder here
	for _, p := range paths {
		if at == len(p) {
			return nil, nil
		}
		if err := n.fits(p[at], p[:at], p[:at+1]); err != nil {
			return nil, err
		}
		on = on || p[at].Open() || at+1 < len(p)
	}
	if n.kind == Null {
		return n, nil
	}
	if len(paths) == 1 && !paths[0][at].Open() {
		return unsetOne(n, paths, at)
	}
	names, kids := make([]string, 0, len(n.kids)), make([]*Node, 0, len(n.kids))
	same := true
	routes := n.routes(paths, at)
	for i, kid := range n.kids {
		kept, through := kid, paths
		if routes != nil {
			through = routes[i]
		}
		if len(through) > 0 {
			var err error
			if kept, err = unset(kid, through, at+1); err != nil {
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
	case len(kids) == 0 && (!same || on):
		return nil, nil
	case same:
		return n, nil // also an empty container at the end of a path
	case n.kind == List:
		return newList(kids), nil
	case len(names) == len(n.kids):
		return newObject(n.keys, kids), nil
	}
	return newObject(&Keys{names: names}, kids), nil
}

// unsetOne is unset for one path with a key or index here. It does not visit the other kids.
func unsetOne(n *Node, paths []path.Path, at int) (*Node, error) {
	accessor := paths[0][at]
	kid := n.step(accessor)
	if kid == nil {
		if n.Empty() && at+1 < len(paths[0]) {
			return nil, nil
		}
		return n, nil
	}
	kept, err := unset(kid, paths, at+1)
	switch {
	case err != nil:
		return nil, err
	case kept == kid:
		return n, nil
	case kept != nil:
		return n.With(accessor, kept), nil
	case len(n.kids) == 1:
		return nil, nil
	}
	return n.without(accessor), nil
}

// routes returns the paths that lead through each kid, or nil if all lead through all.
func (n *Node) routes(paths []path.Path, at int) [][]path.Path {
	if !slices.ContainsFunc(paths, func(p path.Path) bool { return !p[at].Open() }) {
		return nil
	}
	routes := make([][]path.Path, len(n.kids))
	for _, p := range paths {
		if !p[at].Open() {
			if i, found := n.position(p[at]); found {
				routes[i] = append(routes[i], p)
			}
			continue
		}
		for i := range routes {
			routes[i] = append(routes[i], p)
		}
	}
	return routes
}

// position returns the index of a key or index among the kids.
func (n *Node) position(accessor path.Accessor) (int, bool) {
	if n.kind == Object {
		return slices.BinarySearch(n.keys.names, accessor.Name)
	}
	index := accessor.Index()
	return index, index < len(n.kids)
}

// without returns the container without the kid at a key or index.
func (n *Node) without(accessor path.Accessor) *Node {
	if n.kind == List {
		index := accessor.Index()
		return newList(slices.Delete(slices.Clone(n.kids), index, index+1))
	}
	index, _ := slices.BinarySearch(n.keys.names, accessor.Name)
	names := slices.Delete(slices.Clone(n.keys.names), index, index+1)
	keys := &Keys{names: names, near: n.keys.mark.Load()}
	return newObject(keys, slices.Delete(slices.Clone(n.kids), index, index+1))
}

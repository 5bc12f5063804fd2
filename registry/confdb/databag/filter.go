package databag

import "slices"

// Filter returns a container with the nodes that keep returns for its kids. keep gets the key, or "" in a list. A nil
// node removes the kid. Filter returns nil if no kid is left, and stops at an error of keep.
func (n *Node) Filter(keep func(key string, kid *Node) (*Node, error)) (*Node, error) {
	var names []string
	var kids []*Node
	for i, kid := range n.kids {
		key := ""
		if n.kind == Object {
			key = n.keys.names[i]
		}
		kept, err := keep(key, kid)
		if err != nil {
			return nil, err
		}
		if kept == nil {
			continue
		}
		names, kids = append(names, key), append(kids, kept)
	}
	switch {
	case len(kids) == 0:
		return nil, nil
	case slices.Equal(kids, n.kids):
		return n, nil
	case n.kind == List:
		return newList(kids), nil
	}
	return newObject(&Keys{names: names}, kids), nil
}

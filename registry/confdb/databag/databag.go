// Package databag holds the data of a confdb as an immutable tree of JSON values. Its main types are Bag and Node. A
// write at a storage path returns another Bag, which shares all unchanged nodes. Rules, types and access are left to
// packages view and schema.
package databag

import (
	"fmt"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/confdb/path"
)

// A Bag is the stored data of one confdb: a JSON object. The zero Bag is empty. Bags are immutable and safe to share.
type Bag struct{ root *Node }

var nothing = newObject(empty, nil)

// Parse parses a JSON object. Numbers keep their notation.
func Parse(text []byte) (Bag, error) {
	var value any
	if err := jsonvalue.Decode(text, &value); err != nil {
		return Bag{}, fmt.Errorf("cannot parse databag: %w", err)
	}
	root, err := FromValue(value)
	if err != nil {
		return Bag{}, fmt.Errorf("cannot parse databag: %w", err)
	}
	if root.kind != Object {
		return Bag{}, fmt.Errorf("cannot parse databag: want a JSON object, not %s", root.kind)
	}
	return Bag{root}, nil
}

// Root returns the bag's object.
func (b Bag) Root() *Node {
	if b.root == nil {
		return nothing
	}
	return b.root
}

// AppendJSON appends the bag as compact JSON with sorted keys.
func (b Bag) AppendJSON(to []byte) []byte { return b.Root().AppendJSON(to) }

// Same reports whether two bags are the same tree, in constant time. Equal trees that were built separately are not.
func (b Bag) Same(other Bag) bool { return b.Root() == other.Root() }

// Equal reports whether two bags have the same values at a storage path of keys and indexes; "" means the whole bag.
// Numbers are compared as float64.
func (b Bag) Equal(other Bag, storage string) bool {
	at, err := path.ParseRequest(storage)
	return err == nil && equal(b.Root().at(at), other.Root().at(at))
}

// Value returns the bag in JSON shapes, with numbers as json.Number.
func (b Bag) Value() map[string]any { return b.Root().Value().(map[string]any) }

// at returns the node at a path of keys and indexes, or nil.
func (n *Node) at(p path.Path) *Node {
	for _, accessor := range p {
		switch {
		case accessor.Kind == path.Key && n.kind == Object:
			if n = n.Kid(accessor.Name); n == nil {
				return nil
			}
		case accessor.Kind == path.Index && n.kind == List && accessor.Index() < len(n.kids):
			n = n.kids[accessor.Index()]
		default:
			return nil
		}
	}
	return n
}

// FromRoot returns a bag with this object; nil means the empty bag.
func FromRoot(root *Node) Bag { return Bag{root} }

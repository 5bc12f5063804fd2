// Package databag holds what a confdb stores, as an immutable tree of JSON values: setting or unsetting along a storage
// path yields another tree that shares all that did not change.
package databag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"aspects-poc/registry/confdb/path"
)

// A Bag is one confdb's stored data: a JSON object. The zero Bag is empty. Bags are immutable and safe to share.
type Bag struct{ root *Node }

var nothing = newObject(empty, nil)

// Parse reads a bag from JSON text: an object, numbers kept as they are written.
func Parse(text []byte) (Bag, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return Bag{}, fmt.Errorf("cannot parse databag: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Bag{}, errors.New("cannot parse databag: something follows the JSON object")
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

// Same tells whether two bags are the same tree, which is cheap; equal trees that were built apart are not the same.
func (b Bag) Same(other Bag) bool { return b.Root() == other.Root() }

// Equal tells whether two bags hold the same values at a storage path of keys and indexes ("" for all), numbers
// compared as float64.
func (b Bag) Equal(other Bag, storage string) bool {
	at, err := path.ParseRequest(storage)
	return err == nil && equal(b.Root().at(at), other.Root().at(at))
}

// Value returns all of the bag as JSON shapes, numbers as json.Number.
func (b Bag) Value() map[string]any { return b.Root().Value().(map[string]any) }

// at returns the node at the end of a path of keys and indexes, or nil.
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

// FromRoot returns a bag of an object; nil is the empty bag.
func FromRoot(root *Node) Bag { return Bag{root} }

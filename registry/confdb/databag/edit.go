package databag

import (
	"fmt"
	"maps"
	"slices"

	"aspects-poc/registry/confdb/path"
)

// An Edit makes many changes to a bag at the cost of one pass: a container is copied once, however many of its kids
// change. The bag that it began with stays as it is, and no node is visible before Bag returns it finished. After an
// error an Edit holds part of a change and must not be used again. It is not safe for concurrent use.
type Edit struct {
	bag  Bag
	root *draft // nil while nothing has changed since bag
}

// Edit begins to change a bag.
func (b Bag) Edit() *Edit { return &Edit{bag: b} }

// Bag returns the bag with all changes so far. It is the bag the edit began with if nothing was there to change.
func (e *Edit) Bag() Bag {
	if e.root != nil {
		e.bag, e.root = Bag{e.root.finish()}, nil
	}
	return e.bag
}

// Set does what Bag.Set does, with the same errors.
func (e *Edit) Set(storage path.Path, value *Node) error {
	if len(storage) == 0 {
		var err error
		e.bag, err = e.Bag().Set(storage, value)
		return err
	}
	if e.root == nil {
		e.root = newDraft(e.bag.Root(), storage[0])
	}
	return e.root.set(storage, 0, withoutNulls(value))
}

// Unset does what Bag.Unset does, with the same errors. It is of use for single paths without placeholders; all others
// take a pass of their own.
func (e *Edit) Unset(storage ...path.Path) error {
	if len(storage) == 0 {
		return nil
	}
	if len(storage) > 1 || len(storage[0]) == 0 || storage[0].Open() || e.bag.Root().kind < Object {
		var err error
		e.bag, err = e.Bag().Unset(storage...)
		return err
	}
	root := e.root
	if root == nil {
		root = newDraft(e.bag.Root(), storage[0][0])
	}
	done, err := root.unset(storage[0], 0)
	switch {
	case err != nil:
		return err
	case done == gone:
		e.bag, e.root = Bag{}, nil
	case done == changed:
		e.root = root
	}
	return nil
}

// A draft is a container that is being changed: a node, which stays as it is, and what differs from it.
type draft struct {
	base *Node           // an object or list
	kids map[string]slot // of an object: what has changed
	list []slot          // of a list: all elements, or nil while none has changed
	size int             // how many kids there are now
}

// A slot holds a finished node, or one that is being changed, or nothing.
type slot struct {
	node  *Node
	draft *draft
}

func (s slot) empty() bool { return s == slot{} }

// newDraft returns a draft of a node, or of an empty container that an accessor leads into where there is no node or a
// scalar in the way.
func newDraft(n *Node, into path.Accessor) *draft {
	if n == nil || n.kind < Object {
		if n = nothing; into.List() {
			n = newList(nil)
		}
	}
	return &draft{base: n, size: len(n.kids)}
}

// step returns what a key or index leads to.
func (d *draft) step(accessor path.Accessor) slot {
	if accessor.Kind == path.Key {
		if kid, ok := d.kids[accessor.Name]; ok {
			return kid
		}
	} else if index := accessor.Index(); d.list != nil {
		if index >= len(d.list) {
			return slot{}
		}
		return d.list[index]
	}
	return slot{node: d.base.step(accessor)}
}

// put stores a kid at a key or index, in place of old; an empty slot removes it.
func (d *draft) put(accessor path.Accessor, old, kid slot) {
	switch {
	case old.empty():
		d.size++
	case kid.empty():
		d.size--
	}
	if d.base.kind == Object {
		if d.kids == nil {
			d.kids = map[string]slot{}
		}
		d.kids[accessor.Name] = kid
		return
	}
	if d.list == nil {
		d.list = make([]slot, len(d.base.kids), len(d.base.kids)+1)
		for i, kid := range d.base.kids {
			d.list[i].node = kid
		}
	}
	switch index := accessor.Index(); {
	case index == len(d.list):
		d.list = append(d.list, kid)
	case kid.empty():
		d.list = slices.Delete(d.list, index, index+1)
	default:
		d.list[index] = kid
	}
}

func (d *draft) set(p path.Path, at int, value *Node) error {
	accessor := p[at]
	if err := d.base.fits(accessor, p[:at], p[:at]); err != nil {
		return err
	}
	if accessor.List() && accessor.Index() > d.size {
		return fmt.Errorf("cannot access %q: list has length %d", p[:at+1].Bare(), d.size)
	}
	kid := d.step(accessor)
	if at+1 == len(p) {
		d.put(accessor, kid, slot{node: value})
		return nil
	}
	if kid.draft == nil {
		fresh := newDraft(kid.node, p[at+1])
		d.put(accessor, kid, slot{draft: fresh})
		kid.draft = fresh
	}
	return kid.draft.set(p, at+1, value)
}

// What unsetting has done to a container.
type outcome uint8

const (
	same outcome = iota
	changed
	gone // nothing is left of it; the draft is as it was
)

func (d *draft) unset(p path.Path, at int) (outcome, error) {
	accessor := p[at]
	if err := d.base.fits(accessor, p[:at], p[:at+1]); err != nil {
		return same, err
	}
	kid := d.step(accessor)
	if kid.empty() {
		if d.size == 0 && at+1 < len(p) {
			return gone, nil
		}
		return same, nil
	}
	done, err := gone, error(nil)
	if at+1 < len(p) {
		done, err = d.unsetBelow(kid, p, at+1)
	}
	switch {
	case err != nil || done != gone:
		return done, err
	case d.size == 1:
		return gone, nil
	}
	d.put(accessor, kid, slot{})
	return changed, nil
}

// unsetBelow goes on in a kid, which the path up to at has led to.
func (d *draft) unsetBelow(kid slot, p path.Path, at int) (outcome, error) {
	if kid.draft != nil {
		return kid.draft.unset(p, at)
	}
	if kid.node.kind < Object {
		return same, kid.node.fits(p[at], p[:at], p[:at+1])
	}
	fresh := newDraft(kid.node, p[at])
	done, err := fresh.unset(p, at)
	if err == nil && done == changed {
		d.put(p[at-1], kid, slot{draft: fresh})
	}
	return done, err
}

// finish returns the node that the draft has become, which is the one it began with if nothing has changed.
func (d *draft) finish() *Node {
	switch {
	case d.kids == nil && d.list == nil:
		return d.base
	case d.base.kind == Object:
		return d.finishObject()
	}
	kids := make([]*Node, len(d.list))
	for i, kid := range d.list {
		kids[i] = kid.finish()
	}
	return newList(kids)
}

func (s slot) finish() *Node {
	if s.draft != nil {
		return s.draft.finish()
	}
	return s.node
}

// finishObject merges the sorted keys of the base with those that changed.
func (d *draft) finishObject() *Node {
	base := d.base.keys
	names, kids := make([]string, 0, d.size), make([]*Node, 0, d.size)
	from, removed, added := 0, 0, ""
	for _, name := range slices.Sorted(maps.Keys(d.kids)) {
		index, found := slices.BinarySearch(base.names[from:], name)
		index += from
		names, kids = append(names, base.names[from:index]...), append(kids, d.base.kids[from:index]...)
		if from = index; found {
			from++
		}
		kid := d.kids[name].finish()
		switch {
		case kid == nil && found:
			removed++
			continue
		case kid == nil:
			continue // it came and went
		case !found:
			added = name
		}
		names, kids = append(names, name), append(kids, kid)
	}
	names, kids = append(names, base.names[from:]...), append(kids, d.base.kids[from:]...)
	keys := &Keys{names: names}
	switch came := len(names) + removed - len(base.names); {
	case came == 0 && removed == 0:
		keys = base
	case came+removed == 1:
		keys.near, keys.added = base.mark.Load(), added
	}
	return newObject(keys, kids)
}

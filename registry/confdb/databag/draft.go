package databag

import (
	"fmt"
	"slices"
	"strings"

	"aspects-poc/registry/confdb/path"
)

// A draft is a container during an edit: an unchanged node and the differences from it.
type draft struct {
	base *Node           // an object or list
	kids map[string]slot // object: the changed kids
	list []slot          // list: all elements; nil if none has changed
	size int             // number of kids after the changes
}

// A slot holds a finished node, a draft, or nothing.
type slot struct {
	node  *Node
	draft *draft
}

func (s slot) empty() bool { return s == slot{} }

// newDraft returns a draft of a node. If the node is nil or a scalar, it is the draft of an empty container of the
// kind that the accessor needs.
func newDraft(n *Node, into path.Accessor) *draft {
	if n == nil || n.kind < Object {
		if n = nothing; into.List() {
			n = newList(nil)
		}
	}
	return &draft{base: n, size: len(n.kids)}
}

// step returns the kid at a key or index.
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

// put replaces old by kid at a key or index; an empty slot removes it.
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

// An outcome is the effect of unset on a container.
type outcome uint8

const (
	same outcome = iota
	changed
	gone // nothing is left; the draft itself is unchanged
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

// unsetBelow continues unset in a kid; at is the next step of the path.
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

// finish returns the node with all changes. It is the original node if there are none.
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

// A keyChange is a changed key of an object.
type keyChange struct {
	name  string
	index int   // where the key is, or would be, in the base
	known bool  // the base has the key
	kid   *Node // nil: the key was removed
}

// keyChanges returns the changed keys, sorted, and how many keys were added and removed.
func (d *draft) keyChanges() (all []keyChange, came, went int) {
	base := d.base.keys
	all = make([]keyChange, 0, len(d.kids))
	for name := range d.kids {
		all = append(all, keyChange{name: name})
	}
	slices.SortFunc(all, func(a, b keyChange) int { return strings.Compare(a.name, b.name) })
	from := 0
	for i := range all {
		e := &all[i]
		e.index, e.known = slices.BinarySearch(base.names[from:], e.name)
		e.index += from
		from = e.index
		switch e.kid = d.kids[e.name].finish(); {
		case e.kid == nil && e.known:
			went++
		case e.kid != nil && !e.known:
			came++
		}
	}
	return all, came, went
}

func (d *draft) finishObject() *Node {
	base := d.base.keys
	changes, came, went := d.keyChanges()
	if came == 0 && went == 0 {
		kids := slices.Clone(d.base.kids)
		for _, e := range changes {
			if e.known {
				kids[e.index] = e.kid
			}
		}
		return newObject(base, kids)
	}
	names, kids := make([]string, 0, d.size), make([]*Node, 0, d.size)
	keys := &Keys{}
	if came+went == 1 {
		keys.near = base.mark.Load()
	}
	from := 0
	for _, e := range changes {
		names, kids = append(names, base.names[from:e.index]...), append(kids, d.base.kids[from:e.index]...)
		if from = e.index; e.known {
			from++
		}
		if e.kid == nil {
			continue // removed, or added and removed again
		}
		names, kids = append(names, e.name), append(kids, e.kid)
		if !e.known && came+went == 1 {
			keys.added = e.name
		}
	}
	keys.names = append(names, base.names[from:]...)
	return newObject(keys, append(kids, d.base.kids[from:]...))
}

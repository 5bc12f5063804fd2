package databag

import "aspects-poc/registry/confdb/path"

// An Edit makes many changes to a bag in one pass: it copies each container once. The original bag does not change.
// Call Bag for the result. After an error an Edit holds part of a change and must not be used. It is not safe for
// concurrent use.
type Edit struct {
	bag  Bag
	root *draft // nil if nothing has changed since bag
}

// Edit starts an Edit of the bag.
func (b Bag) Edit() *Edit { return &Edit{bag: b} }

// Bag returns the bag with all changes so far. It is the original bag if there are none.
func (e *Edit) Bag() Bag {
	if e.root != nil {
		e.bag, e.root = Bag{e.root.finish()}, nil
	}
	return e.bag
}

// Set is Bag.Set within the edit.
func (e *Edit) Set(storage path.Path, value *Node) error {
	if len(storage) == 0 {
		e.bag, e.root = Bag{withoutNulls(value)}, nil
		return nil
	}
	if e.root == nil {
		e.root = newDraft(e.bag.Root(), storage[0])
	}
	return e.root.set(storage, 0, withoutNulls(value))
}

// Unset is Bag.Unset within the edit. It is fast for a single path without placeholders; otherwise it takes a pass of
// its own.
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

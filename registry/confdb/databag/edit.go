package databag

import "aspects-poc/registry/confdb/path"

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

package schema

import (
	"errors"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// What a cut along a path may find.
var (
	// ErrUnauthorized tells that all there is, is secret.
	ErrUnauthorized = errors.New("unauthorized access")
	// ErrAbsent tells that there is nothing at the path.
	ErrAbsent = errors.New("no data")
)

func secretBelow(t Type) bool {
	for _, inner := range t.below() {
		if inner.marks().secret || secretBelow(inner) {
			return true
		}
	}
	return false
}

// Public returns a bag from which the secrets along a storage path, and below its end, have been cut. The error is
// ErrUnauthorized, ErrAbsent, or tells of a container of the wrong shape.
func (s *Schema) Public(bag databag.Bag, storage path.Path) (databag.Bag, error) {
	root, err := public(s.root, bag.Root(), storage)
	if err != nil {
		return databag.Bag{}, err
	}
	return databag.FromRoot(root), nil
}

func public(t Type, n *databag.Node, p path.Path) (*databag.Node, error) {
	if t.marks().secret {
		return nil, ErrUnauthorized
	}
	return n, nil
}

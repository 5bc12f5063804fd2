package world

import (
	"errors"
	"fmt"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A transaction is one write, or one read with hooks, through a view: what was stored when it began and what it has come
// to. Its fields are guarded by the world's lock.
type transaction struct {
	view   backend.ViewID
	schema *confdb.Schema
	by     string // snap that asked for it through snapctl; "" for the administrator
	read   bool

	before databag.Bag
	tx     *confdb.Tx
	told   []string // storage paths that whoever asked has written: they decide who observes
	// poisoned is what a set that was refused left behind: the commit fails with it.
	poisoned  error
	committed bool

	access *Event // what observers of the world are told of it
}

// begin starts a transaction over what is stored. The caller has the lock and its turn.
func (w *World) begin(id backend.ViewID, schema *confdb.Schema, by string) *transaction {
	bag := w.bags[schema.ID()]
	return &transaction{view: id, schema: schema, by: by, before: bag, tx: schema.Begin(bag)}
}

func (t *transaction) id() string { return t.schema.ID() }

// staged is the data with all changes so far.
func (t *transaction) staged() databag.Bag { return t.tx.Bag() }

// A set is what a hook asked for by snapctl set or unset. Of several in one hook the last counts.
type set struct {
	view    string
	values  map[string]any
	refused error
}

// try checks a set on top of the transaction, which stays as it is until the hook has ended.
func (t *transaction) try(view string, values map[string]any) *set {
	attempt := t.schema.Begin(t.staged())
	attempt.Exact = true
	return &set{view: view, values: values, refused: attempt.Write(view, values)}
}

// merge takes over what a hook has set.
func (t *transaction) merge(s *set) error {
	if s == nil {
		return nil
	}
	if s.refused != nil {
		t.poisoned = s.refused
		return nil
	}
	t.tx.Exact = true
	return t.tx.Write(s.view, s.values)
}

// reset drops all changes, as a failed save-view hook does.
func (t *transaction) reset() {
	t.tx, t.poisoned = t.schema.Begin(t.before), nil
}

// commit stores the transaction.
func (w *World) commit(t *transaction, savers bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.poisoned != nil {
		reason := t.poisoned.Error()
		for _, prefix := range []string{"cannot write data: ", "cannot unset data: "} {
			reason = strings.TrimPrefix(reason, prefix)
		}
		return errors.New(reason)
	}
	ephemeral, err := t.tx.Ephemeral()
	if err != nil {
		return err
	}
	if ephemeral && !savers {
		return errors.New("write may affect ephemeral data but no save-view hook is present")
	}
	bag, err := t.tx.Commit(w.bags[t.id()])
	if err != nil {
		return err
	}
	if err := w.store(t.id(), bag); err != nil {
		return fmt.Errorf("cannot store: %w", err)
	}
	t.committed = true
	return nil
}

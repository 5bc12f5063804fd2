package changes

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A transaction is one write or read through a view: the stored values at its beginning, and the changes of hooks since.
type transaction struct {
	view    backend.ViewID
	schema  *confdb.Schema
	by      string // snap that made the access through snapctl; "" for the administrator
	before  databag.Bag
	written []string // of a write: storage paths that the caller writes; they decide which observers run
	access  Event    // fields that all its events have
	release func()   // ends its turn at the confdb

	mu       sync.Mutex // guards what follows
	tx       *confdb.Tx
	poisoned error // error of a refused set: the commit fails with it
	stored   bool
}

func newTransaction(id backend.ViewID, schema *confdb.Schema, by string, before databag.Bag, access Event) *transaction {
	access.View, access.By = id, by
	return &transaction{view: id, schema: schema, by: by, before: before, access: access, tx: schema.Begin(before)}
}

func (t *transaction) id() string { return t.schema.ID() }

// staged returns the values with all changes so far.
func (t *transaction) staged() databag.Bag {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tx.Bag()
}

// committed reports whether the values are stored.
func (t *transaction) committed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stored
}

// A set is one snapctl set or unset of a hook. The last set of a hook counts.
type set struct {
	view    string
	values  map[string]any
	refused error
}

// try checks a set without changing the transaction.
func (t *transaction) try(view string, values map[string]any) *set {
	attempt := t.schema.Begin(t.staged())
	attempt.Exact = true
	return &set{view: view, values: values, refused: attempt.Write(view, values)}
}

// merge applies a set of a hook. A nil set changes nothing.
func (t *transaction) merge(s *set) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case s == nil:
		return nil
	case s.refused != nil:
		t.poisoned = s.refused
		return nil
	}
	t.tx.Exact = true
	return t.tx.Write(s.view, s.values)
}

// reset drops all changes, as a failed save-view hook does.
func (t *transaction) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tx, t.poisoned = t.schema.Begin(t.before), nil
}

// manyPaths is about how many changed paths of a commit its event lists; see databag.Changed.
const manyPaths = 32

// commit checks the values of a transaction once more and stores them on disk. savers reports whether a custodian has a save-view
// hook.
func (p *performer) commit(c *change, t *transaction, savers bool) error {
	var stored databag.Bag
	var refused error
	err := p.facts.Update(func(d *facts.Draft) error {
		if stored, refused = t.check(d.Bag(t.id()), savers); refused == nil {
			d.SetBag(t.id(), stored)
		}
		return refused
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("cannot store: %w", err)
	}
	t.setStored()
	e := t.event(Committed, c.ID, p.options.Now())
	e.Values, e.Paths = nil, databag.Changed(t.before, stored, manyPaths)
	p.events.report(e)
	return nil
}

// check returns the values to be stored, given the stored ones, or why they cannot be stored.
func (t *transaction) check(stored databag.Bag, savers bool) (databag.Bag, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.poisoned != nil {
		reason := t.poisoned.Error()
		for _, prefix := range []string{"cannot write data: ", "cannot unset data: "} {
			reason = strings.TrimPrefix(reason, prefix)
		}
		return databag.Bag{}, errors.New(reason)
	}
	ephemeral, err := t.tx.Ephemeral()
	if err != nil {
		return databag.Bag{}, err
	}
	if ephemeral && !savers {
		return databag.Bag{}, errors.New("write may affect ephemeral data but no save-view hook is present")
	}
	return t.tx.Commit(stored)
}

// setStored records that the values are stored.
func (t *transaction) setStored() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored = true
}

// event returns an event about the transaction.
func (t *transaction) event(kind EventKind, change string, now time.Time) Event {
	e := t.access
	e.Kind, e.Time, e.Change = kind, now, change
	return e
}

// endEvent returns the event of the transaction's end, with its error.
func (t *transaction) endEvent(change string, began, now time.Time, err error) Event {
	e := t.event(AccessEnded, change, now)
	e.Took = now.Sub(began)
	if err != nil {
		reported := (*reportedError)(nil)
		e.Err, e.Told = err.Error(), errors.As(err, &reported)
	}
	return e
}

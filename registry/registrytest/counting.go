package registrytest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"aspects-poc/registry/backend"
)

// A Counter counts the operations that reach a backend. Use it to test how many accesses a cycle takes: on a real
// snapd they cost more than anything else.
//
//	counter := registrytest.Counting(b)
//	reg := registry.New(counter.Backend(), defaults)
//	…
//	if got := counter.Counts(); got.Reads() > 1 || got.Writes() > 1 { … }
//
// It does not count what a backend does by itself, such as the reads of a watch. A Counter is safe for concurrent
// use.
type Counter struct {
	below backend.Backend

	mu  sync.Mutex // guards log
	log []Operation
}

// An Operation is a finished call of the backend.
type Operation struct {
	Op       string // "get", "set", "set-all", "update", "watch" or "status"
	View     backend.ViewID
	Requests []string // request paths, sorted; those that an update read; empty for the whole view
	Wrote    bool     // the call wrote something; false for an update without changes
	Err      error
}

// Counts are the numbers of calls, successful or not.
type Counts struct {
	Get, Set, SetAll, Update, Watch, Status int
	// UpdateWrote is the number of updates that wrote something.
	UpdateWrote int
}

// Reads returns the number of reads: Get and Update.
func (c Counts) Reads() int { return c.Get + c.Update }

// Writes returns the number of transactions: Set, SetAll, and each Update that wrote something.
func (c Counts) Writes() int { return c.Set + c.SetAll + c.UpdateWrote }

// Counting returns a Counter for b.
func Counting(b backend.Backend) *Counter { return &Counter{below: b} }

// Backend returns the backend to use instead of the counted one. It is a backend.Updater or backend.MultiSetter
// exactly if the counted one is.
func (c *Counter) Backend() backend.Backend {
	plain := counted{c}
	updater, canUpdate := c.below.(backend.Updater)
	multi, canSetAll := c.below.(backend.MultiSetter)
	switch {
	case canUpdate && canSetAll:
		return struct {
			counted
			countedUpdater
			countedMultiSetter
		}{plain, countedUpdater{c, updater}, countedMultiSetter{c, multi}}
	case canUpdate:
		return struct {
			counted
			countedUpdater
		}{plain, countedUpdater{c, updater}}
	case canSetAll:
		return struct {
			counted
			countedMultiSetter
		}{plain, countedMultiSetter{c, multi}}
	default:
		return plain
	}
}

// Counts returns the numbers since the beginning or the last Reset.
func (c *Counter) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	var counts Counts
	for _, operation := range c.log {
		switch operation.Op {
		case "get":
			counts.Get++
		case "set":
			counts.Set++
		case "set-all":
			counts.SetAll++
		case "update":
			counts.Update++
			if operation.Wrote {
				counts.UpdateWrote++
			}
		case "watch":
			counts.Watch++
		case "status":
			counts.Status++
		}
	}
	return counts
}

// Operations returns the operations in the order in which they ended.
func (c *Counter) Operations() []Operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// Reset sets all numbers to zero.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = nil
}

func (c *Counter) record(operation Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, operation)
}

// counted has the methods of every backend.
type counted struct{ counter *Counter }

var _ backend.Backend = counted{}

func (b counted) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (map[string]any, error) {
	values, err := b.counter.below.Get(ctx, view, requests, options)
	b.counter.record(Operation{Op: "get", View: view, Requests: slices.Sorted(slices.Values(requests)), Err: err})
	return values, err
}

func (b counted) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	requests := slices.Sorted(maps.Keys(values))
	err := b.counter.below.Set(ctx, view, values)
	b.counter.record(Operation{Op: "set", View: view, Requests: requests, Wrote: true, Err: err})
	return err
}

func (b counted) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	events, err := b.counter.below.Watch(ctx, view)
	b.counter.record(Operation{Op: "watch", View: view, Err: err})
	return events, err
}

// Hints returns ErrUnsupported if the counted backend is no Hinter. Hints are not counted.
func (b counted) Hints(ctx context.Context, view backend.ViewID) (<-chan struct{}, error) {
	if hinter, ok := b.counter.below.(backend.Hinter); ok {
		return hinter.Hints(ctx, view)
	}
	return nil, &backend.Error{Op: "watch", View: view, Kind: backend.ErrUnsupported}
}

func (b counted) Status(ctx context.Context) (backend.Status, error) {
	status, err := b.counter.below.Status(ctx)
	b.counter.record(Operation{Op: "status", Err: err})
	return status, err
}

func (b counted) Close() error { return b.counter.below.Close() }

type countedUpdater struct {
	counterOfUpdates *Counter
	updater          backend.Updater
}

func (b countedUpdater) Update(
	ctx context.Context, view backend.ViewID, requests []string,
	change func(current map[string]any) (map[string]any, error),
) error {
	wrote := false
	err := b.updater.Update(ctx, view, requests, func(current map[string]any) (map[string]any, error) {
		values, err := change(current)
		wrote = err == nil && len(values) > 0
		return values, err
	})
	b.counterOfUpdates.record(Operation{
		Op: "update", View: view, Requests: slices.Sorted(slices.Values(requests)), Wrote: wrote, Err: err,
	})
	return err
}

type countedMultiSetter struct {
	counterOfSets *Counter
	multi         backend.MultiSetter
}

func (b countedMultiSetter) SetAll(ctx context.Context, changes []backend.Change) error {
	operation := Operation{Op: "set-all", Wrote: true}
	for _, change := range changes {
		operation.View = change.View
		operation.Requests = append(operation.Requests, slices.Collect(maps.Keys(change.Values))...)
	}
	slices.Sort(operation.Requests)
	if len(changes) > 1 {
		operation.View.View = "" // several views of one confdb-schema
	}
	operation.Err = b.multi.SetAll(ctx, changes)
	b.counterOfSets.record(operation)
	return operation.Err
}

package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// Get reads committed data. It takes no lock and does not wait.
func (b *Backend) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (
	map[string]any, error) {
	_, call, err := b.life.Begin(ctx, calls.About{Op: "get", View: view, Requests: requests})
	if err != nil {
		return nil, err
	}
	defer call.End()
	if err := view.Check(); err != nil {
		return nil, Describe(err, "get", view, requests)
	}
	if err := backend.CheckConstraints(options.Constraints); err != nil {
		return nil, Describe(err, "get", view, requests)
	}
	st, err := b.store.load()
	if err != nil {
		return nil, Describe(err, "get", view, requests)
	}
	values, err := b.read(st, view, requests, confdb.ReadOptions{Constraints: options.Constraints})
	if err != nil {
		return nil, b.explainNoData(st, Describe(err, "get", view, requests))
	}
	return values, nil
}

// explainNoData returns err. If the file does not exist, it adds that to an ErrNoData.
func (b *Backend) explainNoData(st *state, err error) error {
	var e *backend.Error
	if !b.store.absent(st) || !errors.As(err, &e) || e.Kind != backend.ErrNoData {
		return err
	}
	e.Reason += ": " + b.store.file.path + " is not there, the first set makes it"
	e.Message += ": " + b.store.file.path + " is not there, the first set makes it"
	e.Err = b.store.file.notExist()
	return e
}

func (b *Backend) read(st *state, view backend.ViewID, requests []string, options confdb.ReadOptions) (
	map[string]any, error) {
	parsed, err := b.schema(st, view)
	if err != nil {
		return nil, err
	}
	found, err := parsed.Read(st.bags[key(view)], view.View, requests, options)
	if err != nil {
		return nil, err
	}
	// snapd's daemon refuses some reads that its engine would answer. The engine's own errors come first: they are more
	// precise.
	if _, err := parsed.ReadsEphemeral(view.View, requests, options); err != nil {
		return nil, err
	}
	values, ok := found.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("internal error: view %s shows a %T", view, found)
	}
	return values, nil
}

// Set writes in one transaction and returns when the values are on disk. An empty list or map as the value of a
// request unsets the path, as in all backends: the engine, like snapd, stores no empty containers. It refuses them
// deeper in a value.
func (b *Backend) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	return b.write(ctx, backend.WriteOp(values), []backend.Change{{View: view, Values: values}})
}

// SetAll writes through several views in one transaction. The views may belong to several confdb-schemas.
func (b *Backend) SetAll(ctx context.Context, changes []backend.Change) error {
	return b.write(ctx, "set", changes)
}

func (b *Backend) write(ctx context.Context, op string, changes []backend.Change) error {
	var about backend.ViewID
	if len(changes) > 0 {
		about = changes[0].View
	}
	requests := requestsOf(changes)
	ctx, call, err := b.life.Begin(ctx, calls.About{Op: op, View: about, Requests: requests})
	if err != nil {
		return err
	}
	defer call.End()
	for _, change := range changes {
		if err := change.View.Check(); err != nil {
			return Describe(err, op, change.View, requests)
		}
		if len(change.Values) == 0 {
			return &backend.Error{Op: op, View: change.View, Kind: backend.ErrBadRequest, Reason: "there is nothing to set"}
		}
	}
	err = b.store.change(ctx, b.patience, func(st *state) (*state, error) { return b.apply(st, changes, &about) })
	return call.Explain(Describe(err, op, about, requests))
}

// Try returns the error of SetAll(changes) on an imaginary store with the data of the seeds alone. Each seed is a transaction of its
// own; a refused one writes nothing. Try neither reads nor changes the stored data.
func (b *Backend) Try(seeds, changes []backend.Change) error {
	var about backend.ViewID
	st := empty()
	for _, seed := range seeds {
		if next, err := b.apply(st, []backend.Change{seed}, &about); err == nil && next != nil {
			st = next
		}
	}
	_, err := b.apply(st, changes, &about)
	return Describe(err, "set", about, requestsOf(changes))
}

// apply returns the state after the changes, or nil if nothing changes. It sets about to the current view.
func (b *Backend) apply(st *state, changes []backend.Change, about *backend.ViewID) (*state, error) {
	var order []string
	transactions := map[string]*confdb.Tx{}
	for _, change := range changes {
		*about = change.View
		parsed, err := b.schema(st, change.View)
		if err != nil {
			return nil, err
		}
		id := key(change.View)
		if transactions[id] == nil {
			order = append(order, id)
			transactions[id] = parsed.Begin(st.bags[id])
		}
		values, err := backend.Storable(change.Values)
		if err != nil {
			return nil, err
		}
		if err := transactions[id].Write(change.View.View, values); err != nil {
			return nil, err
		}
	}
	bags := map[string]databag.Bag{}
	var done []change
	for _, id := range order {
		// Ephemeral data is stored like other data; the call is for the errors of snapd's daemon.
		if _, err := transactions[id].Ephemeral(); err != nil {
			return nil, err
		}
		bag, err := transactions[id].Commit(st.bags[id])
		if err != nil {
			return nil, err
		}
		paths := databag.Changed(st.bags[id], bag, manyPaths)
		if len(paths) == 0 {
			continue
		}
		bags[id] = bag
		done = append(done, change{Schema: id, Paths: paths})
	}
	if len(done) == 0 {
		return nil, nil
	}
	return st.next(bags, b.schemasToStore(st, done), done), nil
}

// Update reads and writes while nobody else writes, in any process.
func (b *Backend) Update(ctx context.Context, view backend.ViewID, requests []string,
	change func(current map[string]any) (map[string]any, error)) error {
	ctx, call, err := b.life.Begin(ctx, calls.About{Op: "update", View: view, Requests: requests})
	if err != nil {
		return err
	}
	defer call.End()
	if err := view.Check(); err != nil {
		return Describe(err, "update", view, requests)
	}
	var refused error // the error of change, which is returned as it is
	err = b.store.change(ctx, b.patience, func(st *state) (*state, error) {
		current, err := b.read(st, view, requests, confdb.ReadOptions{})
		if kind := (*confdb.Error)(nil); errors.As(err, &kind) && kind.Kind == confdb.NoData {
			current, err = map[string]any{}, nil
		}
		if err != nil {
			return nil, err
		}
		values, err := change(current)
		if err != nil {
			refused = err
			return nil, err
		}
		if len(values) == 0 {
			return nil, nil
		}
		requests = slices.Sorted(maps.Keys(values))
		return b.apply(st, []backend.Change{{View: view, Values: values}}, &view)
	})
	if refused != nil {
		return refused
	}
	return call.Explain(Describe(err, "update", view, requests))
}

func requestsOf(changes []backend.Change) []string {
	var requests []string
	for _, change := range changes {
		requests = slices.AppendSeq(requests, maps.Keys(change.Values))
	}
	slices.Sort(requests)
	return requests
}

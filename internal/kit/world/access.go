package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// Access says how to read or write as the administrator does, over snapd's REST API. The zero value waits as long as
// snapd does, for no constraints.
type Access struct {
	Constraints map[string]any // of a read: parameter or placeholder -> scalar
	// Timeout is how long to wait for others who access the confdb, at least 0; nil means 10 min.
	Timeout *time.Duration
}

func (a Access) wait() time.Duration {
	if a.Timeout == nil {
		return -1
	}
	return *a.Timeout
}

func (w *World) checkEnabled() error {
	if w.closed {
		return errClosed
	}
	if !w.enabled() {
		return badRequest(`feature flag "confdb" is disabled: set 'experimental.confdb' to true`)
	}
	return nil
}

// Set begins to write values through a view, as PUT does, and returns the ID of the change that does it: hooks may
// still refuse. nil unsets. What is refused at once is an *Error, after which there is no change.
func (w *World) Set(ctx context.Context, id backend.ViewID, values map[string]any, access Access) (string, error) {
	w.mu.Lock()
	c, err := w.setAsRoot(ctx, id, values, access)
	w.mu.Unlock()
	if err != nil {
		w.tell(Event{Kind: Refused, Time: w.options.Now(), View: id, Values: values, Err: err.Error()})
		return "", err
	}
	return c.ID, nil
}

func (w *World) setAsRoot(ctx context.Context, id backend.ViewID, values map[string]any, access Access) (*change, error) {
	if err := w.checkEnabled(); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, badRequest("cannot write confdb: request body contains no values")
	}
	t, release, err := w.beginWrite(ctx, id, "", values, access.wait(), false)
	if err != nil {
		return nil, refusal(err, false)
	}
	c := w.spawn("set-confdb", fmt.Sprintf("Set confdb through %q", id))
	t.access = &Event{View: id, Values: values}
	if err := w.start(c, w.writeTasks(c, t), func(err error) { w.ended(c, t, release, err) }); err != nil {
		release()
		return nil, err
	}
	w.began(c, t)
	return c, nil
}

// beginWrite makes all checks that snapd makes before there is a change. Errors are the engine's or *Error.
func (w *World) beginWrite(ctx context.Context, id backend.ViewID, by string, values map[string]any, wait time.Duration,
	exact bool) (t *transaction, release func(), err error) {
	if _, err := w.schema(id); err != nil {
		return nil, nil, err
	}
	release, err = w.take(ctx, id, by, true, wait)
	if err != nil {
		return nil, nil, err
	}
	if t, err = w.checkWrite(id, by, values, exact); err != nil {
		release()
		return nil, nil, err
	}
	return t, release, nil
}

func (w *World) checkWrite(id backend.ViewID, by string, values map[string]any, exact bool) (*transaction, error) {
	schema, err := w.schema(id) // again: others had the lock meanwhile
	if err != nil {
		return nil, err
	}
	t := w.begin(id, schema, by)
	t.tx.Exact = exact
	if err := t.tx.Write(id.View, values); err != nil {
		return nil, err
	}
	custodians := w.custodians(id)
	if len(custodians) == 0 {
		return nil, internal(fmt.Sprintf("cannot write confdb view %s: no custodian snap connected", id))
	}
	ephemeral, err := t.tx.Ephemeral()
	if err != nil {
		return nil, err
	}
	if ephemeral && !w.anyHas(custodians, "save-view-") {
		return nil, internal(fmt.Sprintf("cannot write confdb view %s: write might change ephemeral data but no custodians "+
			"has a save-view hook", id))
	}
	t.told = t.tx.Altered()
	return t, nil
}

// anyHas tells whether a snap has the hook of this kind for its plug.
func (w *World) anyHas(plugs []Connection, prefix string) bool {
	return slices.ContainsFunc(plugs, func(c Connection) bool { return w.state.Snaps[c.Snap].Has(prefix + c.Plug) })
}

// began tells that a transaction with hooks begins. The caller has the lock.
func (w *World) began(c *change, t *transaction) {
	e := *t.access
	e.Kind, e.Time, e.Change, e.By, e.Read = AccessBegan, w.options.Now(), c.ID, t.by, t.read
	w.later(e)
}

// ended ends a transaction. The caller has the lock.
func (w *World) ended(c *change, t *transaction, release func(), err error) {
	release()
	e := *t.access
	e.Kind, e.Time, e.Change, e.By, e.Read = AccessEnded, w.options.Now(), c.ID, t.by, t.read
	if err != nil {
		told := (*toldError)(nil)
		e.Err, e.Told = err.Error(), errors.As(err, &told)
	}
	e.Took = e.Time.Sub(c.Spawned)
	w.later(e)
}

// writeTasks plans a write as snapd 2.77 does: change-view and save-view hooks of the custodians of the view, commit,
// observe-view hooks of everybody whose view may show what whoever asked has written, except the snap that asked.
func (w *World) writeTasks(c *change, t *transaction) []task {
	custodians := w.custodians(t.view)
	tasks := []task{{kind: "clear-confdb-tx-on-error", undone: true,
		summary: "Clears the ongoing confdb transaction from state (on error)"}}
	hook := func(at Connection, kind string) task {
		name := kind + "-view-" + at.Plug
		return hookTask(at.Snap, name, func(ctx context.Context) error { return w.runHook(ctx, c, at.Snap, name, t) })
	}
	for _, at := range custodians {
		if w.state.Snaps[at.Snap].Has("change-view-" + at.Plug) {
			tasks = append(tasks, hook(at, "change"))
		}
	}
	var saved []Connection // those whose save-view hook has begun
	for _, at := range custodians {
		if !w.state.Snaps[at.Snap].Has("save-view-" + at.Plug) {
			continue
		}
		save := hook(at, "save")
		run := save.do
		save.do = func(ctx context.Context) error {
			saved = append(saved, at)
			return run(ctx)
		}
		save.recover = func() []task {
			w.locked(t.reset)
			var again []task
			for _, at := range slices.Backward(saved) {
				again = append(again, hook(at, "save"))
			}
			return again
		}
		tasks = append(tasks, save)
	}
	savers := w.anyHas(custodians, "save-view-")
	tasks = append(tasks, task{kind: "commit-confdb-tx", summary: fmt.Sprintf("Commit changes to confdb (%s)", t.view),
		do: func(context.Context) error {
			if err := w.commit(t, savers); err != nil {
				return err
			}
			w.tell(Event{Kind: Committed, Time: w.options.Now(), Change: c.ID, View: t.view, By: t.by,
				Paths: databag.Changed(t.before, w.committed(t), manyPaths)})
			return nil
		}})
	for _, at := range w.observers(t) {
		observe := hook(at, "observe")
		observe.tolerant = ignoring(observe.hook)
		tasks = append(tasks, observe)
	}
	return append(tasks, task{kind: "clear-confdb-tx", summary: "Clears the ongoing confdb transaction from state"})
}

// manyPaths is about how many paths of a commit are told one by one.
const manyPaths = 32

func (w *World) committed(t *transaction) databag.Bag {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bags[t.id()]
}

// observers are the connected plugs of other snaps than the one that writes whose views may show what it has written.
func (w *World) observers(t *transaction) []Connection {
	affected := t.schema.Affected(t.told)
	return slices.DeleteFunc(w.connections(func(p Plug) bool {
		id, ok := p.ID()
		return ok && id.Account == t.view.Account && id.Schema == t.view.Schema && slices.Contains(affected, id.View)
	}), func(c Connection) bool { return t.by != "" && c.Snap == t.by })
}

// Get begins to read request paths through a view, as GET does; without requests it is the whole view. It returns the
// ID of the change whose Data will have "values", or "error" where nothing is stored; it is ready at once unless a
// custodian has load-view or query-view hooks. What is refused at once is an *Error.
func (w *World) Get(ctx context.Context, id backend.ViewID, requests []string, access Access) (string, error) {
	w.mu.Lock()
	c, err := w.getAsRoot(ctx, id, requests, access)
	w.mu.Unlock()
	if err != nil {
		w.tell(Event{Kind: Refused, Time: w.options.Now(), View: id, Read: true, Requests: requests, Err: err.Error()})
		return "", err
	}
	w.flush()
	return c.ID, nil
}

func (w *World) getAsRoot(ctx context.Context, id backend.ViewID, requests []string, access Access) (*change, error) {
	if err := w.checkEnabled(); err != nil {
		return nil, err
	}
	options := confdb.ReadOptions{Constraints: access.Constraints}
	t, release, err := w.beginRead(ctx, id, "", requests, access.wait(), options)
	if err != nil {
		return nil, refusal(err, true)
	}
	t.access = &Event{View: id, Requests: requests}
	summary := fmt.Sprintf("Get confdb through %q", id)
	tasks := w.readTasks(nil, t)
	if len(tasks) == 0 {
		defer release()
		data, err := t.result(requests, options)
		if err != nil {
			// Yes: snapd leaves an empty change behind.
			c := w.spawn("get-confdb", summary)
			c.Ready, c.Status = true, Hold
			return nil, refusal(err, true)
		}
		c := w.spawn("get-confdb", summary)
		c.Data = data
		w.finish(c)
		t.access.Direct = true
		w.ended(c, t, func() {}, nil)
		_ = w.save() // what was read can be told on a full disk, too
		return c, nil
	}
	c := w.spawn("get-confdb", summary)
	tasks = append(w.readTasks(c, t), task{kind: "load-confdb-change", summary: "Load confdb data into the change",
		do: func(context.Context) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			data, err := t.result(requests, options)
			if err == nil {
				c.Data = data
			}
			return err
		}})
	if err := w.start(c, tasks, func(err error) { w.ended(c, t, release, err) }); err != nil {
		release()
		return nil, err
	}
	w.began(c, t)
	return c, nil
}

// result reads what the transaction has come to, as the data of a change: values, or that there are none.
func (t *transaction) result(requests []string, options confdb.ReadOptions) (map[string]any, error) {
	values, err := t.schema.Read(t.staged(), t.view.View, requests, options)
	if err = t.schema.DaemonError(t.view.View, requests, options, err); err == nil {
		return map[string]any{"values": values}, nil
	}
	if refused := (*confdb.Error)(nil); errors.As(err, &refused) && refused.Kind == confdb.NoData {
		return map[string]any{"error": map[string]any{"kind": KindOptionNotFound, "message": refused.Message}}, nil
	}
	return nil, err
}

// beginRead makes all checks that snapd makes before it reads. Errors are the engine's or *Error.
func (w *World) beginRead(ctx context.Context, id backend.ViewID, by string, requests []string, wait time.Duration,
	options confdb.ReadOptions) (t *transaction, release func(), err error) {
	if _, err := w.schema(id); err != nil {
		return nil, nil, err
	}
	release, err = w.take(ctx, id, by, false, wait)
	if err != nil {
		return nil, nil, err
	}
	if t, err = w.checkRead(id, by, requests, options); err != nil {
		release()
		return nil, nil, err
	}
	return t, release, nil
}

func (w *World) checkRead(id backend.ViewID, by string, requests []string, options confdb.ReadOptions) (*transaction, error) {
	schema, err := w.schema(id)
	if err != nil {
		return nil, err
	}
	custodians := w.custodians(id)
	if len(custodians) == 0 {
		return nil, internal(fmt.Sprintf("cannot read confdb view %s: no custodian snap connected", id))
	}
	ephemeral, err := schema.ReadsEphemeral(id.View, requests, options)
	if err != nil {
		return nil, err
	}
	if ephemeral && !w.anyHas(custodians, "load-view-") {
		return nil, internal(fmt.Sprintf("cannot schedule tasks to read view %s: read might cover ephemeral data but no "+
			"custodian has a load-view hook", id))
	}
	t := w.begin(id, schema, by)
	t.read = true
	return t, nil
}

// readTasks plans a read: load-view hooks of the custodians of the view, then their query-view hooks; nothing if there
// are none.
func (w *World) readTasks(c *change, t *transaction) []task {
	var hooks []task
	custodians := w.custodians(t.view)
	for _, kind := range []string{"load", "query"} {
		for _, at := range custodians {
			name := kind + "-view-" + at.Plug
			if w.state.Snaps[at.Snap].Has(name) {
				hooks = append(hooks, hookTask(at.Snap, name, func(ctx context.Context) error {
					return w.runHook(ctx, c, at.Snap, name, t)
				}))
			}
		}
	}
	if hooks == nil {
		return nil
	}
	first := task{kind: "clear-confdb-tx-on-error", undone: true,
		summary: "Clears the ongoing confdb transaction from state (on error)"}
	last := task{kind: "clear-confdb-tx", summary: "Clears the ongoing confdb transaction from state"}
	return append(append([]task{first}, hooks...), last)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

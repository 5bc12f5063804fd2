package world

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// target resolves the plug that a command names, after the checks that come before anything else.
func (w *World) target(from *caller, argument string) (backend.ViewID, error) {
	name := strings.TrimPrefix(argument, ":")
	instance := from.snap.Instance()
	plug, found := from.snap.Plugs[name]
	if !found {
		return backend.ViewID{}, fmt.Errorf("cannot find plug :%s for snap %q", name, instance)
	}
	if plug.Interface != "confdb" {
		return backend.ViewID{}, fmt.Errorf("cannot use --view with non-confdb plug :%s", name)
	}
	if !w.enabled() {
		return backend.ViewID{}, errors.New(dialect.Disabled())
	}
	if !w.state.Connections[connection(instance, name)] {
		return backend.ViewID{}, fmt.Errorf("cannot access confdb through unconnected plug :%s", name)
	}
	id, ok := plug.ID()
	if !ok {
		return backend.ViewID{}, fmt.Errorf(`invalid plug :%s: "view" must be in the form <schema>/<view> but is %q`, name, plug.View)
	}
	if _, err := w.schema(id); err != nil {
		return backend.ViewID{}, err
	}
	return id, nil
}

// within tells whether a command belongs to the transaction that the caller's hook is part of. Such a hook cannot
// access another confdb-schema.
func (from *caller) within(id backend.ViewID, verb string) (bool, error) {
	if from.hook == nil || from.hook.tx == nil {
		return false, nil
	}
	if t := from.hook.tx; t.id() != id.Account+"/"+id.Schema {
		return false, fmt.Errorf("cannot %s confdb view %s: ongoing transaction for %s", verb, id, t.id())
	}
	return true, nil
}

func (w *World) getView(ctx context.Context, from *caller, c *snapctlcmd.Command) (string, error) {
	keys := c.Positional[1:]
	switch {
	case c.Has("d") && c.Has("t"):
		return "", errors.New("cannot use -d and -t together")
	case c.Has("default") && len(keys) > 1:
		return "", errors.New("cannot use --default with more than one confdb request")
	case c.Has("previous") && (from.hook == nil || !from.hook.is("change", "save", "observe")):
		return "", errors.New("cannot use --previous outside of save-view, change-view or observe-view hooks")
	}
	constraints, err := c.Constraints()
	if err != nil {
		return "", err
	}
	id, err := w.target(from, c.Positional[0])
	if err != nil {
		return "", err
	}
	options := confdb.ReadOptions{Constraints: constraints, Unprivileged: from.uid != 0}
	within, err := from.within(id, "read")
	if err != nil {
		return "", err
	}
	var schema *confdb.Schema
	var bag databag.Bag
	if within {
		schema = from.hook.tx.schema
		from.hook.gets = append(from.hook.gets, Lookup{View: id.View, Requests: keys})
		if bag, err = w.during(from.hook, c.Has("previous")); err != nil {
			from.hook.gets[len(from.hook.gets)-1].Err = err.Error()
		}
	} else {
		schema, bag, err = w.readAsSnap(ctx, from, id, keys, c, options)
	}
	if err != nil {
		return "", err
	}
	if _, err := schema.ReadsEphemeral(id.View, keys, options); err != nil {
		return "", err
	}
	found, err := schema.Read(bag, id.View, keys, options)
	var refused *confdb.Error
	if err != nil && within && !(errors.As(err, &refused) && refused.Kind == confdb.NoData) {
		from.hook.gets[len(from.hook.gets)-1].Err = err.Error()
	}
	if errors.As(err, &refused) && refused.Kind == confdb.NoData && c.Has("default") && len(keys) == 1 {
		value, err := c.Value(c.Flags["default"][0])
		if err != nil {
			return "", err
		}
		return c.Print(map[string]any{keys[0]: value}, keys)
	}
	if err != nil {
		return "", err
	}
	document, ok := found.(map[string]any)
	if !ok {
		return snapctlcmd.Indented(found)
	}
	return c.Print(document, keys)
}

// during is what a hook of a transaction reads: never what it has set itself.
func (w *World) during(h *hookContext, previous bool) (databag.Bag, error) {
	switch {
	case h.rejected != "":
		return databag.Bag{}, errors.New("cannot read from aborted transaction")
	case previous:
		return h.tx.before, nil
	case h.tx.committed:
		return w.bags[h.tx.id()], nil
	default:
		return h.tx.staged(), nil
	}
}

// readAsSnap returns what an app or another hook than a view's reads: what is stored, and what load-view and query-view
// hooks made of it. If one of them fails, an app is not told and gets what is stored.
func (w *World) readAsSnap(ctx context.Context, from *caller, id backend.ViewID, keys []string, c *snapctlcmd.Command,
	options confdb.ReadOptions) (*confdb.Schema, databag.Bag, error) {
	t, release, err := w.beginRead(ctx, id, from.snap.Instance(), keys, w.waitOf(from, c), options)
	if err != nil {
		w.refused(from, id, true, keys, nil, err)
		return nil, databag.Bag{}, err
	}
	t.access = &Event{View: id, Requests: keys}
	if w.readTasks(nil, t) == nil {
		t.access.Direct = true
		w.ended(&change{}, t, release, nil)
		return t.schema, t.before, nil
	}
	failed := false
	change, err := w.carryOut(ctx, from, t, release, &failed)
	if err != nil {
		return nil, databag.Bag{}, late(err, "read", id, w.options, change)
	}
	if failed {
		return t.schema, t.before, nil
	}
	return t.schema, t.staged(), nil
}

// carryOut carries out a transaction of a snap and waits for its end: in a change of its own for an app, else in the
// change of the hook that asks. failed is set when it has failed.
func (w *World) carryOut(ctx context.Context, from *caller, t *transaction, release func(), failed *bool) (string, error) {
	kind, summary, plan := "set-confdb", fmt.Sprintf("Set confdb through %q", t.view), w.writeTasks
	if t.read {
		kind, summary, plan = "get-confdb", fmt.Sprintf("Get confdb through %q", t.view), w.readTasks
	}
	done := make(chan struct{})
	if from.hook != nil {
		c := from.hook.change
		w.began(c, t)
		w.join(from.hook, plan(c, t), func(err error) {
			*failed = err != nil
			w.ended(c, t, release, err)
			close(done)
		})
		return c.ID, w.await(ctx, done)
	}
	c := w.spawn(kind, summary)
	if err := w.start(c, plan(c, t), func(err error) {
		*failed = err != nil
		w.ended(c, t, release, err)
		close(done)
	}); err != nil {
		release()
		return "", err
	}
	w.began(c, t)
	return c.ID, w.await(ctx, done)
}

// late words that a change goes on.
func late(err error, verb string, id backend.ViewID, options Options, change string) error {
	if !errors.Is(err, errLate) {
		return err
	}
	return fmt.Errorf("cannot %s confdb view %s: timed out (%s) waiting for change %s", verb, id, options.WriteLimit, change)
}

func (w *World) unsetView(ctx context.Context, from *caller, c *snapctlcmd.Command) error {
	values, err := c.Unset()
	if err != nil {
		return err
	}
	return w.setView(ctx, from, c, values)
}

func (w *World) setView(ctx context.Context, from *caller, c *snapctlcmd.Command, values map[string]any) error {
	id, err := w.target(from, c.Positional[0])
	if err != nil {
		return err
	}
	within, err := from.within(id, "write")
	if err != nil {
		return err
	}
	if within {
		return from.hook.stage(id.View, values)
	}
	t, release, err := w.beginWrite(ctx, id, from.snap.Instance(), values, w.waitOf(from, c), true)
	if err != nil {
		w.refused(from, id, false, nil, values, err)
		return err
	}
	t.access = &Event{View: id, Values: values}
	// Whatever comes of it, an app is told that it went well; a hook is ended, as its own change fails.
	failed := false
	change, err := w.carryOut(ctx, from, t, release, &failed)
	return late(err, "write", id, w.options, change)
}

// waitOf is how long a caller waits for its turn.
func (w *World) waitOf(from *caller, c *snapctlcmd.Command) time.Duration {
	if c.Wait < 0 && from.hook != nil && from.hook.hook == "configure" {
		return w.options.AccessTimeout / 2
	}
	return c.Wait
}

// stage is a set or unset in a hook of a view.
func (h *hookContext) stage(view string, values map[string]any) error {
	if !h.is("change", "load", "query") {
		return fmt.Errorf("cannot modify confdb in %q hook", h.hook)
	}
	if h.rejected != "" {
		return errors.New("cannot write to aborted transaction")
	}
	h.set = h.tx.try(view, values) // what it had set before is lost
	told := Assignment{View: view, Values: values}
	if h.set.refused != nil {
		told.Err = h.set.refused.Error()
	}
	h.sets = append(h.sets, told)
	return h.set.refused
}

func (w *World) refused(from *caller, id backend.ViewID, read bool, requests []string, values map[string]any, err error) {
	w.later(Event{Kind: Refused, Time: w.options.Now(), View: id, By: from.snap.Instance(), Read: read, Requests: requests,
		Values: values, Err: err.Error()})
}

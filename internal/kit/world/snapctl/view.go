package snapctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// target returns the view of the plug that a command names, :PLUG.
func (from *caller) target(argument string) (backend.ViewID, error) {
	name := strings.TrimPrefix(argument, ":")
	instance := from.snap.Instance()
	plug, found := from.snap.Plugs[name]
	if !found {
		return backend.ViewID{}, fmt.Errorf("cannot find plug :%s for snap %q", name, instance)
	}
	if plug.Interface != "confdb" {
		return backend.ViewID{}, fmt.Errorf("cannot use --view with non-confdb plug :%s", name)
	}
	if !from.now.Enabled() {
		return backend.ViewID{}, errors.New(generation.Disabled())
	}
	if !from.now.Connected(instance, name) {
		return backend.ViewID{}, fmt.Errorf("cannot access confdb through unconnected plug :%s", name)
	}
	id, ok := plug.ID()
	if !ok {
		return backend.ViewID{}, fmt.Errorf(`invalid plug :%s: "view" must be in the form <schema>/<view> but is %q`, name, plug.View)
	}
	if _, err := from.now.Schema(id); err != nil {
		return backend.ViewID{}, err
	}
	return id, nil
}

// access returns the caller in the form of package changes.
func (from *caller) access(c *snapctlcmd.Command) changes.Caller {
	return changes.Caller{Snap: from.snap.Instance(), Hook: from.hook, Wait: c.Wait}
}

func (e *Endpoint) getView(ctx context.Context, from *caller, c *snapctlcmd.Command) (string, error) {
	keys := c.Positional[1:]
	switch {
	case c.Has("d") && c.Has("t"):
		return "", errors.New("cannot use -d and -t together")
	case c.Has("default") && len(keys) > 1:
		return "", errors.New("cannot use --default with more than one confdb request")
	case c.Has("previous") && !from.hook.Is("change", "save", "observe"):
		return "", errors.New("cannot use --previous outside of save-view, change-view or observe-view hooks")
	}
	constraints, err := c.Constraints()
	if err != nil {
		return "", err
	}
	id, err := from.target(c.Positional[0])
	if err != nil {
		return "", err
	}
	options := confdb.ReadOptions{Constraints: constraints, Unprivileged: from.uid != 0}
	within, err := from.hook.Within(id, "read")
	if err != nil {
		return "", err
	}
	var schema *confdb.Schema
	var bag databag.Bag
	refused := func(error) {}
	if within {
		refused = from.hook.Reads(id.View, keys)
		if schema, bag, err = from.hook.Values(e.facts.Now(), c.Has("previous")); err != nil {
			refused(err)
		}
	} else {
		schema, bag, err = e.changes.GetFor(ctx, from.access(c), id, keys, options)
	}
	if err != nil {
		return "", err
	}
	if _, err := schema.ReadsEphemeral(id.View, keys, options); err != nil {
		return "", err
	}
	found, err := schema.Read(bag, id.View, keys, options)
	if err != nil && !noData(err) {
		refused(err)
	}
	if noData(err) && c.Has("default") && len(keys) == 1 {
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

func noData(err error) bool {
	var refused *confdb.Error
	return errors.As(err, &refused) && refused.Kind == confdb.NoData
}

func (e *Endpoint) unsetView(ctx context.Context, from *caller, c *snapctlcmd.Command) error {
	values, err := c.Unset()
	if err != nil {
		return err
	}
	return e.setView(ctx, from, c, values)
}

func (e *Endpoint) setView(ctx context.Context, from *caller, c *snapctlcmd.Command, values map[string]any) error {
	id, err := from.target(c.Positional[0])
	if err != nil {
		return err
	}
	within, err := from.hook.Within(id, "write")
	if err != nil {
		return err
	}
	if within {
		return from.hook.Stage(id.View, values)
	}
	return e.changes.SetFor(ctx, from.access(c), id, values)
}

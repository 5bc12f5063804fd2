package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// A guarded view has a change-view hook that checks writes.
type guarded struct {
	view string
	// needs are the views that its rules use.
	needs []string
	// shown are the views that may show the change; the hook announces it to the daemon. Separate observe-view hooks
	// would each cost time at installation. An announcement before the commit does no harm: a read waits for the
	// transaction (seen on snapd 2.77.1), and after a refused write it is only superfluous.
	shown []string
	// also, if not nil, returns another objection or "".
	also func(ctx context.Context, call *roles.HookCall) (objection string, err error)
}

// hook returns the change-view hook. It refuses a write that adds objections to the configuration.
func (g guarded) hook() roles.Hook {
	return roles.Hook{Name: "change-view-" + g.view, Run: func(ctx context.Context, call *roles.HookCall) error {
		objections, err := g.objections(ctx, call)
		if err != nil {
			objections = []string{"the rules for " + g.view + " cannot be checked: " + err.Error()}
		}
		if len(objections) > 0 {
			return call.Refuse(ctx, strings.Join(objections, "; "))
		}
		if err := call.Announce(g.shown...); err != nil {
			// The daemon notices the change later. A valid write must not fail for that.
			call.Log.Warn("cannot announce the change to the daemon, which notices it later", "error", err)
		}
		return nil
	}}
}

func (g guarded) objections(ctx context.Context, call *roles.HookCall) ([]string, error) {
	read := func(ctx context.Context, view string, dst any, requests ...string) error {
		return call.View(view).Read(ctx, dst, requests...)
	}
	after, err := g.read(ctx, read)
	if err != nil {
		return nil, err
	}
	if len(after.Objections()) > 0 {
		before, err := g.read(ctx, call.Previous)
		if err != nil {
			return nil, err
		}
		if added := network.Added(before, after); len(added) > 0 {
			return added, nil
		}
	}
	if g.also == nil {
		return nil, nil
	}
	objection, err := g.also(ctx, call)
	if err != nil || objection == "" {
		return nil, err
	}
	return []string{objection}, nil
}

// read reads the views in needs. A view without data is no error.
func (g guarded) read(
	ctx context.Context, read func(ctx context.Context, view string, dst any, requests ...string) error,
) (network.Configuration, error) {
	var c network.Configuration
	for _, view := range g.needs {
		var err error
		switch view {
		case network.ControlDeviceView:
			err = read(ctx, view, &c.Device)
		case network.ControlInterfacesView:
			err = read(ctx, view, &c.Interfaces, "config")
		case network.ControlTunnelView:
			err = read(ctx, view, &c.Tunnel)
		case network.ControlTelemetryView:
			err = read(ctx, view, &c.Telemetry)
		default:
			err = fmt.Errorf("internal error: no rules use the view %s", view)
		}
		if err != nil && !errors.Is(err, registry.ErrNoData) {
			return network.Configuration{}, err
		}
	}
	return c, nil
}

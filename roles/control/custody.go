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

// A guarded view is one whose writes the custodian's change-view hook looks at.
type guarded struct {
	view string
	// needs are the views that the rules about it look at; only their documents are read.
	needs []string
	// shown are the views that show what is written through it: the daemon is told of a change to them. That is done here,
	// and not in observe-view hooks of their own, each of which would cost the installation its time: a read that comes
	// too early waits for the transaction to end (seen on snapd 2.77.1), and one of a write that was refused does no
	// harm.
	shown []string
	// also, if set, objects to more.
	also func(ctx context.Context, call *roles.HookCall) (objection string, err error)
}

// hook returns the change-view hook: it refuses what adds to the objections to the configuration.
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
			// The daemon finds out later; a sound write must not fail for it.
			call.Log.Warn("the daemon could not be told", "error", err)
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

// read reads what the rules look at. That a view shows nothing is no error.
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
			err = fmt.Errorf("internal error: no rules look at %s", view)
		}
		if err != nil && !errors.Is(err, registry.ErrNoData) {
			return network.Configuration{}, err
		}
	}
	return c, nil
}

package control

import (
	"context"
	"errors"
	"fmt"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// changeControlInterfaces checks the interfaces that the tunnel needs, and counters that would not be shown.
func changeControlInterfaces() roles.Hook {
	return guarded{
		view:  network.ControlInterfacesView,
		needs: []string{network.ControlTunnelView, network.ControlInterfacesView},
		shown: []string{network.ControlInterfacesView},
		also:  objectToStats,
	}.hook()
}

// objectToStats returns an objection if somebody sets counters while the daemon's counters are shown instead.
func objectToStats(ctx context.Context, call *roles.HookCall) (objection string, err error) {
	totals, err := newCountersFile(call.StateDir).read()
	if err != nil || totals == nil {
		return "", nil //nolint:nilerr // then none are shown in the place of others; the daemon tells what is wrong
	}
	var before, after network.ControlInterfaces
	if err := call.View(network.ControlInterfacesView).Read(ctx, &after, "stats"); err != nil {
		if errors.Is(err, registry.ErrNoData) {
			return "", nil
		}
		return "", err
	}
	err = call.Previous(ctx, network.ControlInterfacesView, &before, "stats")
	if err != nil && !errors.Is(err, registry.ErrNoData) {
		return "", err
	}
	for name, stats := range after.Stats {
		if known, ok := before.Stats[name]; !ok || known != stats {
			return fmt.Sprintf("stats are what %s has counted, and cannot be set", roles.Custodian), nil
		}
	}
	return "", nil
}

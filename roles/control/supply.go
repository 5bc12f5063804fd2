package control

import (
	"context"

	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// supply is a load-view hook: it adds the daemon's counters to what somebody is about to read. Nothing of it is stored.
// The view read may be one that cannot be written; what counts is the storage below both.
//
// It never fails, as nobody could read the configuration then either. What is wrong with the file the daemon tells.
func supply(ctx context.Context, call *roles.HookCall) error {
	totals, err := newCountersFile(call.StateDir).read()
	if err != nil || len(totals) == 0 {
		return nil //nolint:nilerr // see above; and without a file the counters are in the registry
	}
	values := map[string]any{}
	for name, total := range totals {
		values["stats."+name] = total
	}
	// One set: of several only the last would count.
	if err := call.View(network.ControlInterfacesView).Set(ctx, values); err != nil {
		call.Log.Warn("counters not supplied", "error", err)
	}
	return nil
}

package control

import (
	"context"

	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// supply is a load-view hook. It adds the daemon's counters to the data of a read; snapd does not store them. It writes
// through control-interfaces, as the read view may be read-only; both have the same storage.
//
// It returns no error, because nobody could read the configuration after one. The daemon reports errors of the file.
func supply(ctx context.Context, call *roles.HookCall) error {
	totals, err := newCountersFile(call.StateDir).read()
	if err != nil || len(totals) == 0 {
		return nil //nolint:nilerr // see above; and without a file the counters are in the registry
	}
	values := map[string]any{}
	for name, total := range totals {
		values["stats."+name] = total
	}
	// One Set, since only the last one counts.
	if err := call.View(network.ControlInterfacesView).Set(ctx, values); err != nil {
		call.Log.Warn("cannot supply the counters to the reader", "error", err)
	}
	return nil
}

package control

import (
	"fmt"
	"slices"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/network"
)

// The custodian's rules are also checked before a target is written: after a refusal by a change-view hook, snapd tells
// the writer neither the reason nor that there was a refusal.

// order returns an order of the views in which each write is permitted. A new interface must exist before the tunnel
// uses it, and an old one as long as the tunnel uses it.
func order(views []string, current, wanted map[string]map[string]any) ([]string, error) {
	tunnelFirst := slices.Clone(views)
	slices.SortStableFunc(tunnelFirst, func(a, b string) int {
		switch network.ControlTunnelView {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	for _, candidate := range [][]string{views, tunnelFirst} {
		sound := true
		for i := range candidate {
			sound = sound && custodian.Permitted(candidate[:i+1], current, wanted) == nil
		}
		if sound {
			return candidate, nil
		}
	}
	reason := fmt.Sprintf("what it asks of %s and %s can only be written in steps: add interfaces first, then move the "+
		"tunnel, then remove interfaces", network.ControlInterfacesView, network.ControlTunnelView)
	return views, &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: reason,
		Message: "the custodian's rules refuse it: " + reason}
}

package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeObserveTunnel is the hook for a change of the peers.
func observeObserveTunnel() roles.Hook {
	return roles.Announce("observe-view-observe-tunnel", network.ObserveTunnelView)
}

package reporting

import (
	"aspects-poc/registry/network"
	"aspects-poc/roles"
)

// observeObserveTunnel is called after the peers were written.
func observeObserveTunnel() roles.Hook {
	return roles.Announce("observe-view-observe-tunnel", network.ObserveTunnelView)
}

package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeObserveTunnel is called after the peers were written.
func observeObserveTunnel() roles.Hook {
	return roles.Announce("observe-view-observe-tunnel", network.ObserveTunnelView)
}

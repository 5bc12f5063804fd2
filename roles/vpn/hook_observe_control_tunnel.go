package vpn

import (
	"aspects-poc/registry/network"
	"aspects-poc/roles"
)

// observeControlTunnel is called after somebody else has written through control-tunnel, or what it shows.
func observeControlTunnel() roles.Hook {
	return roles.Announce("observe-view-control-tunnel", network.ControlTunnelView)
}

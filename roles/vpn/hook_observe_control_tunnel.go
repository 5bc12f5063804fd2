package vpn

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeControlTunnel is the hook for somebody else's write to control-tunnel, or to what it shows.
func observeControlTunnel() roles.Hook {
	return roles.Announce("observe-view-control-tunnel", network.ControlTunnelView)
}

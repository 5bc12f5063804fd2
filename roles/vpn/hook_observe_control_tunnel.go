package vpn

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeControlTunnel is called after somebody else has written through control-tunnel, or what it shows.
func observeControlTunnel() roles.Hook {
	return roles.Announce("observe-view-control-tunnel", network.ControlTunnelView)
}

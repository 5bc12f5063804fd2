package control

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// changeControlTunnel checks the tunnel's interface and peers.
func changeControlTunnel() roles.Hook {
	return guarded{
		view:  network.ControlTunnelView,
		needs: []string{network.ControlTunnelView, network.ControlInterfacesView},
		shown: []string{network.ControlTunnelView},
	}.hook()
}

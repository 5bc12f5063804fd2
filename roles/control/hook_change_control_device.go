package control

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// changeControlDevice checks the server's URL.
func changeControlDevice() roles.Hook {
	return guarded{
		view:  network.ControlDeviceView,
		needs: []string{network.ControlDeviceView},
		shown: []string{network.ControlDeviceView, network.ObserveDeviceView},
	}.hook()
}

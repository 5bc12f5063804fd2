package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeObserveDevice is called after the device was registered or pointed at another server.
func observeObserveDevice() roles.Hook {
	return roles.Announce("observe-view-observe-device", network.ObserveDeviceView)
}

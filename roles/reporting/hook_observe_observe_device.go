package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeObserveDevice is the hook for a change of the registration or the server.
func observeObserveDevice() roles.Hook {
	return roles.Announce("observe-view-observe-device", network.ObserveDeviceView)
}

package control

import (
	"aspects-poc/registry/network"
	"aspects-poc/roles"
)

// loadObserveInterfaces supplies packets-sent, packets-received and the stats of eth0 and wlan0.
func loadObserveInterfaces() roles.Hook {
	return roles.Hook{Name: "load-view-" + network.ObserveInterfacesView, Run: supply}
}

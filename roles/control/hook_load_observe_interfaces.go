package control

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// loadObserveInterfaces supplies packets-sent, packets-received and the stats of eth0 and wlan0.
func loadObserveInterfaces() roles.Hook {
	return roles.Hook{Name: "load-view-" + network.ObserveInterfacesView, Run: supply}
}

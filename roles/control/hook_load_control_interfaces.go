package control

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// loadControlInterfaces supplies stats.
func loadControlInterfaces() roles.Hook {
	return roles.Hook{Name: "load-view-" + network.ControlInterfacesView, Run: supply}
}

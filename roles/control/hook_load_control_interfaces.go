package control

import (
	"aspects-poc/registry/network"
	"aspects-poc/roles"
)

// loadControlInterfaces supplies stats.
func loadControlInterfaces() roles.Hook {
	return roles.Hook{Name: "load-view-" + network.ControlInterfacesView, Run: supply}
}

//go:build !device

package main

import (
	"aspects-poc/internal/nofolder"
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/demo"
	"aspects-poc/roles/fleetcmd"
	"aspects-poc/roles/fleetsim"
	"aspects-poc/roles/kitcmd"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/server"
	"aspects-poc/roles/vpn"
)

// run is the program with these arguments, its own name first. It returns the exit code.
func run(args []string) int {
	nofolder.Over()
	return roles.Main(args, all()...)
}

// all is the list of roles and tools.
func all() []roles.Role {
	list := []roles.Role{server.Role, control.Role, vpn.Role, reporting.Role, registrycmd.New(kitcmd.Commands),
		fleetcmd.Role, fleetsim.Role}
	return append(list, demo.New(list...))
}

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

// run runs the program with args (os.Args) and returns the exit code.
func run(args []string) int {
	nofolder.Over()
	return roles.Main(args, all()...)
}

// all returns the roles and tools of the whole binary.
func all() []roles.Role {
	list := []roles.Role{server.Role, control.Role, vpn.Role, reporting.Role, registrycmd.New(kitcmd.Commands),
		fleetcmd.Role, fleetsim.Role}
	return append(list, demo.New(list...))
}

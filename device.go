//go:build device

package main

import (
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/vpn"
)

// run is the program with these arguments, its own name first. It returns the exit code.
func run(args []string) int { return roles.Main(args, all()...) }

// all is the list of roles and tools of a device: without server, development kit, load generator and demo.
func all() []roles.Role {
	return []roles.Role{control.Role, vpn.Role, reporting.Role, registrycmd.New()}
}

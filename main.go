// Command aspects-poc shares configuration between snaps through snapd's confdb views, or through its own engine where
// there is no snapd. It is four roles in one binary, picked by argv[0] or the first argument; see package roles.
package main

import (
	"os"

	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/demo"
	"aspects-poc/roles/fleetsim"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/server"
	"aspects-poc/roles/vpn"
)

func main() {
	if registrycmd.IsSnapctl(os.Args[0]) { // to the hooks that the development kit runs
		os.Exit(registrycmd.Snapctl(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(roles.Main(os.Args, all()...))
}

// all is the list of roles and tools.
func all() []roles.Role {
	list := []roles.Role{server.Role, control.Role, vpn.Role, reporting.Role, registrycmd.Role, fleetsim.Role}
	return append(list, demo.New(list...))
}

// Command aspects-poc shares configuration between snaps through snapd's confdb views, or through its own engine where
// there is no snapd. It is four roles in one binary, picked by argv[0] or the first argument; see package roles.
package main

import (
	"os"

	"aspects-poc/roles"
	"aspects-poc/roles/registrycmd"
)

func main() {
	os.Exit(roles.Main(os.Args, registrycmd.Role))
}

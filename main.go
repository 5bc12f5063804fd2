// Command aspects-poc shares configuration between snaps through snapd's confdb views, or through its own engine where
// there is no snapd. It is four roles in one binary, picked by argv[0] or the first argument; see package roles.
//
// all.go lists what the binary is. With -tags device it has only what a device needs: device.go lists that.
package main

import "os"

func main() { os.Exit(run(os.Args)) }

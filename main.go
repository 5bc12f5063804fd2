// Command aspects-poc shares configuration between snaps through snapd's confdb views, or through its own engine on
// machines without snapd. It has four roles and several tools in one binary. Package roles chooses one by argv[0] or
// the first argument.
//
// all.go lists the roles and tools of the whole binary. A build with -tags device has only what a device needs:
// device.go lists it.
package main

import "os"

func main() { os.Exit(run(os.Args)) }

// Package oracle knows what a fleet server has to show, and compares.
//
// The devices are the truth: each is simulated here, with what it shows, what it runs and what became of its last attempt
// (device.go). What follows from that, by docs/fleet.md alone, is worked out in the plainest way (model.go). Run lets
// random acts happen, to targets, devices and servers (acts.go, do.go), and after each and a pause of two poll intervals
// asks in six ways what state each device is in: for the one device, in the list, with filters, in the counts, on the
// page and in the metrics; a seventh picture is kept by who listens to events only (look.go, watch.go). All have to agree
// with what the device holds.
//
// Servers run in a World. The tests have two: one in this process, whose time is compressed, and one of processes in real
// time. A list of acts that ends in a failure is made shorter by Shrink.
//
// The package knows the API's shapes and nothing of the server's code: deps_test.go sees to it.
package oracle

// Package oracle knows what a fleet server has to show, and compares it with what the server shows. Its main function
// is Run.
//
// The simulated devices are the truth: each has what it shows, what it runs, and the outcome of its last attempt
// (device.go). From that, model.go works out each device's state, by docs/fleet.md alone and in the plainest way.
//
// Run performs random acts on targets, devices and servers (acts.go, do.go). After each act it waits for two poll
// intervals, and then asks in six ways for the state of each device: for the one device, in the list, with filters, in
// the counts, on the page and in the metrics (look.go). A listener that learns of changes only by events has a seventh
// view (watch.go). All of them have to agree with what the devices hold.
//
// Servers run in a World. The tests have two: one in this process, whose time is compressed, and one of processes in
// real time. Shrink shortens a list of acts that ends in a failure.
//
// The package knows the API's shapes, and nothing of the server's code: deps_test.go checks that.
package oracle

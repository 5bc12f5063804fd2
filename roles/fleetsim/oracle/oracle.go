// Package oracle compares what fleet servers show with the truth, while random acts happen to the fleet. Its main
// function is Run.
//
// The truth is in the simulated devices: each knows what it shows, what it runs, and the outcome of its last attempt
// (device.go). model.go derives each device's state from that. It follows docs/fleet.md in the simplest way.
//
// Run performs random acts on targets, devices and servers (acts.go, do.go). After each act it waits for two poll
// intervals, and then asks in six ways for the state of each device: for the single device, in the list, with filters,
// in the counts, on the page and in the metrics (look.go). A listener that hears of changes only by events is a seventh
// way (watch.go). All of them have to agree with the devices.
//
// Servers run in a World. The tests have two: one in this process with compressed time, and one of processes in real
// time. Shrink shortens a list of acts that leads to a failure.
//
// The package uses the API's shapes, and nothing of the server's code: deps_test.go checks that.
package oracle

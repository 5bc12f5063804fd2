// Package registrytest states what every backend of the registry must do, and helps to test what stands on it.
//
// Run is the contract suite: each backend runs it in its own tests, against the real thing or a fake of it. Counting
// counts the operations that a role sends to a backend. The fakes of snapd's two endpoints are in the folders below.
package registrytest

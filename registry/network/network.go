// Package network is our own confdb-schema: its document, from which the embedded engine, the plugs of the snaps and
// the assertion to sign are all made, and typed access to its seven views.
package network

// AccountID is the account of the confdb-schema. It stands here and nowhere else; builds for another account set it
// with -ldflags "-X aspects-poc/registry/network.AccountID=…" (make build ACCOUNT_ID=…).
var AccountID = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"

// Name is the confdb-schema's name.
const Name = "network"

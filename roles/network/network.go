// Package network has the confdb-schema of the roles, and a struct for the values of each of its seven views. The
// embedded engine, the plugs of the snaps and the assertion to sign all use this schema. The package also has the rules
// that a custodian checks beyond the storage schema (Configuration).
//
//	var settings network.ControlTelemetry
//	err := reg.View(network.ControlTelemetryView).Read(ctx, &settings)
//	err = reg.View(network.ControlTelemetryView).Set(ctx, network.ControlTelemetry{SampleRate: new(4)})
//
// In every struct the zero value of a field means that there is no value; Set does not write it. Fields for which
// zero is a value are pointers.
package network

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"

	"aspects-poc/registry/dialect"
)

// AccountID is the account of the confdb-schema. Only this variable defines it; builds for another account set it with
// -ldflags "-X aspects-poc/roles/network.AccountID=…" (make build ACCOUNT_ID=…).
var AccountID = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"

// Name is the confdb-schema's name.
const Name = "network"

// The views.
const (
	ControlDeviceView     = "control-device"
	ObserveDeviceView     = "observe-device"
	ControlInterfacesView = "control-interfaces"
	ObserveInterfacesView = "observe-interfaces"
	ControlTunnelView     = "control-tunnel"
	ObserveTunnelView     = "observe-tunnel"
	ControlTelemetryView  = "control-telemetry"
)

// source is the confdb-schema for editing: summary, revision, timestamp, views, and the storage schema as JSON.
//
//go:embed confdb-schema.json
var source []byte

// Source returns the confdb-schema for editing: JSON with the storage schema beside the views, and no account.
func Source() json.RawMessage { return slices.Clone(source) }

// Document returns the confdb-schema as JSON for `snap sign`, with an account; "" means AccountID. The body has the
// layout that snapd requires: indented by two spaces, keys sorted. Use Assertion for other revisions and generations
// of snapd.
func Document(account string) json.RawMessage {
	document, err := assemble(dialect.Options{Account: cmp.Or(account, AccountID), Name: Name})
	if err != nil {
		panic(err) // the document is part of the binary, and tests have parsed it
	}
	return document
}

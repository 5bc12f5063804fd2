// Package network is our own confdb-schema: its document, from which the embedded engine, the plugs of the snaps and
// the assertion to sign are all made, and a typed struct for what each of its seven views reads and writes.
//
//	var settings network.ControlTelemetry
//	err := reg.View(network.ControlTelemetryView).Read(ctx, &settings)
//	err = reg.View(network.ControlTelemetryView).Set(ctx, network.ControlTelemetry{SampleRate: new(4)})
//
// In every struct an absent value is the zero of its field (nil where zero is a value of its own), and is not written.
package network

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"

	"aspects-poc/registry/dialect"
)

// AccountID is the account of the confdb-schema. It stands here and nowhere else; builds for another account set it
// with -ldflags "-X aspects-poc/roles/network.AccountID=…" (make build ACCOUNT_ID=…).
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

// source is the confdb-schema as people edit it: summary, revision, timestamp, views, and the storage schema as JSON
// rather than as the text that it is in the assertion.
//
//go:embed confdb-schema.json
var source []byte

// Source returns the confdb-schema as people edit it: JSON with the storage schema beside the views, without an account.
func Source() json.RawMessage { return slices.Clone(source) }

// Document returns the confdb-schema as JSON in the form that `snap sign` takes, for an account; "" stands for
// AccountID. The body is laid out as snapd demands it: indented by two spaces, keys sorted. Assertion is for other
// revisions and generations of snapd.
func Document(account string) json.RawMessage {
	document, err := assemble(dialect.Options{Account: cmp.Or(account, AccountID), Name: Name})
	if err != nil {
		panic(err) // the document is part of the binary, and tests have read it
	}
	return document
}

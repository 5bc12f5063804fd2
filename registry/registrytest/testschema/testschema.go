// Package testschema has the confdb-schema that the contract suite, the imitated machine and the recordings of a real
// snapd use. Programs have confdb-schemas of their own.
package testschema

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/dialect"
)

// Account and name of the confdb-schema, as in the recordings.
const (
	AccountID = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"
	Name      = "network"
)

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

//go:embed confdb-schema.json
var source []byte

// Document returns the confdb-schema as JSON in the form for `snap sign`.
func Document() json.RawMessage {
	var headers map[string]any
	err := jsonvalue.Decode(source, &headers)
	if err == nil {
		storage, _ := headers["storage"].(map[string]any)
		delete(headers, "storage")
		var document json.RawMessage
		if document, err = dialect.Print(headers, storage, dialect.Options{Account: AccountID, Name: Name}); err == nil {
			return document
		}
	}
	panic(fmt.Sprintf("internal error: embedded confdb-schema: %v", err)) // it is part of the program
}

// ControlTunnel is what the view control-tunnel shows.
type ControlTunnel struct {
	Interface string   `json:"interface,omitempty"`
	Peers     []string `json:"peers,omitempty"`
}

// ControlTelemetry is what the view control-telemetry shows.
type ControlTelemetry struct {
	SampleRate             *int  `json:"sample-rate,omitempty"`
	MonitorPacketsSent     *bool `json:"monitor-packets-sent,omitempty"`
	MonitorPacketsReceived *bool `json:"monitor-packets-received,omitempty"`
	MonitorPeers           *bool `json:"monitor-peers,omitempty"`
}

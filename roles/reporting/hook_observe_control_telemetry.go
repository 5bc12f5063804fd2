package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeControlTelemetry is the hook for a change of the settings. The daemon reports at once.
func observeControlTelemetry() roles.Hook {
	return roles.Announce("observe-view-control-telemetry", network.ControlTelemetryView)
}

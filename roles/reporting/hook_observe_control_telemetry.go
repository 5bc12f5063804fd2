package reporting

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// observeControlTelemetry is called after a setting was written: the daemon reports at once if it changed.
func observeControlTelemetry() roles.Hook {
	return roles.Announce("observe-view-control-telemetry", network.ControlTelemetryView)
}

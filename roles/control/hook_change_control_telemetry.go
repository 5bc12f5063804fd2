package control

import (
	"aspects-poc/roles"
	"aspects-poc/roles/network"
)

// changeControlTelemetry checks the sample-rate.
func changeControlTelemetry() roles.Hook {
	return guarded{
		view:  network.ControlTelemetryView,
		needs: []string{network.ControlTelemetryView},
		shown: []string{network.ControlTelemetryView},
	}.hook()
}

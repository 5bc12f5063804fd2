package control

import (
	"aspects-poc/registry/network"
	"aspects-poc/roles"
)

// changeControlTelemetry looks at the sample-rate.
func changeControlTelemetry() roles.Hook {
	return guarded{
		view:  network.ControlTelemetryView,
		needs: []string{network.ControlTelemetryView},
		shown: []string{network.ControlTelemetryView},
	}.hook()
}

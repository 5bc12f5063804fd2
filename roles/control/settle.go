package control

import (
	"context"

	"aspects-poc/roles/control/state"
)

// settleSource handles the change from simulated totals to the kernel's: the first count is then only the base of the
// next, as the packets since the machine's start are not new. The state directory records simulated totals before the
// first one is stored.
func (a *agent) settleSource(ctx context.Context) {
	if a.sourceDone {
		return
	}
	device, err := a.dir.Device()
	if err != nil {
		return // others report the error
	}
	kernel, isKernel := a.source.(*system)
	switch {
	case isKernel && device.Simulated:
		kernel.base = true
	case !isKernel && !device.Simulated:
		a.setSimulated(ctx, true)
	default:
		a.sourceDone = true
	}
}

// settled records that the stored totals are the kernel's.
func (a *agent) settled(ctx context.Context) {
	if kernel, isKernel := a.source.(*system); isKernel && kernel.base {
		kernel.base = false
		a.setSimulated(ctx, false)
	}
}

func (a *agent) setSimulated(ctx context.Context, simulated bool) {
	a.sourceDone = true
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := a.dir.Change(ctx, func(device *state.Device) { device.Simulated = simulated }); err != nil {
		a.log.Warn("the source of packets is not kept, so that another one would add to its counters", "error", err)
	}
}

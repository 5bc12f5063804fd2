package control

import "context"

// settleSource makes the first count of the kernel's after simulated ones no more than a base for the next: what went by
// since the machine has started is nothing that the device has done since the last count. The state directory tells that
// totals were simulated, from before the first of them is kept.
func (a *agent) settleSource(ctx context.Context) {
	if a.sourceDone {
		return
	}
	device, err := a.state.Device()
	if err != nil {
		return // whoever needs it more will tell
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

// settled notes that the totals kept are the kernel's.
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
	if err := a.state.Change(ctx, func(device *Device) { device.Simulated = simulated }); err != nil {
		a.log.Warn("the source of packets is not kept, so that another one would add to its counters", "error", err)
	}
}

package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// counting counts packets: it reads a source and advances the counters. Before the first count it writes the default
// configuration.
type counting struct {
	source    source
	views     *views
	dir       *state.Dir
	serverURL string // of the default configuration
	out       io.Writer
	log       *slog.Logger
	trouble   *troubles

	defaultsDone bool
	sourceDone   bool      // the state directory has recorded whether the totals are simulated
	countedAt    time.Time // zero before the first count
}

// start chooses where the totals are stored: in a file if hooks of the snap can supply them to readers.
func (c *counting) start(ctx context.Context, hub *attach.Hub, file countersFile, mode string) error {
	if mode == countersAuto && hub.Capabilities.Hooks {
		view, err := hub.Keep(ctx, network.ControlInterfacesView, nil)
		c.views.counters = &inFile{file: file, view: view}
		return err
	}
	totals, err := file.retire()
	if err != nil {
		c.trouble.report(ofCounters, err)
	}
	c.views.counters = &inRegistry{ahead: totals}
	return nil
}

// count writes the defaults, once, and advances the counters with one read and one write.
func (c *counting) count(ctx context.Context, hub *attach.Hub) error {
	if err := c.source.prepare(); err != nil {
		c.trouble.report(ofSource, err)
		return nil
	}
	c.trouble.clear(ofSource)
	if err := c.writeDefaults(ctx, hub); err != nil {
		return err
	}
	c.checkSource(ctx)
	list, err := c.views.advance(ctx, hub, c.source.count)
	var file *fileError
	if errors.As(err, &file) && ctx.Err() == nil {
		c.trouble.report(ofCounters, err)
		return nil
	}
	if err != nil {
		return err
	}
	c.trouble.clear(ofCounters)
	c.recordSource(ctx)
	c.countedAt = time.Now()
	for _, traffic := range list {
		fmt.Fprintln(c.out, traffic)
	}
	if !hub.Watching {
		return nil
	}
	return c.views.refresh(ctx)
}

// checkSource handles the change from simulated totals to the kernel's. The first count then only sets the base of the
// next one, because the packets since the machine's start are not new. The state directory records simulated totals
// before the first of them is stored.
func (c *counting) checkSource(ctx context.Context) {
	if c.sourceDone {
		return
	}
	device, err := c.dir.Device()
	if err != nil {
		return // others report the error
	}
	kernel, isKernel := c.source.(*system)
	switch {
	case isKernel && device.Simulated:
		kernel.base = true
	case !isKernel && !device.Simulated:
		c.setSimulated(ctx, true)
	default:
		c.sourceDone = true
	}
}

// recordSource records in the state directory that the stored totals are the kernel's.
func (c *counting) recordSource(ctx context.Context) {
	if kernel, isKernel := c.source.(*system); isKernel && kernel.base {
		kernel.base = false
		c.setSimulated(ctx, false)
	}
}

func (c *counting) setSimulated(ctx context.Context, simulated bool) {
	c.sourceDone = true
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := c.dir.Change(ctx, func(device *state.Device) { device.Simulated = simulated }); err != nil {
		c.log.Warn("cannot store whether the packets are simulated, so a later change of --source may add to the wrong totals", "error", err)
	}
}

// stats returns the last counters for a report, without reading anything. It is nil before the first count.
func (c *counting) stats(documents map[string]map[string]any) *serverapi.Stats {
	if c.countedAt.IsZero() {
		return nil
	}
	stats := &serverapi.Stats{At: c.countedAt.Unix(), Packets: map[string]serverapi.Packets{}}
	var interfaces network.ControlInterfaces
	if registry.Decode(documents[network.ControlInterfacesView], &interfaces) == nil {
		for name, total := range interfaces.Stats {
			stats.Packets[name] = serverapi.Packets{Sent: total.NSent, Received: total.NReceived}
		}
	}
	var peers int64
	if list, ok := documents[network.ControlTunnelView]["peers"].([]any); ok {
		peers = int64(len(list))
	}
	stats.Peers = &peers
	return stats
}

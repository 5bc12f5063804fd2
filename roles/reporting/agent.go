package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"
)

// An agent is the running role. One goroutine calls its methods.
type agent struct {
	out      io.Writer
	json     bool
	outlet   *outlet // nil: no Prometheus
	log      *slog.Logger
	fallback time.Duration // pause between reports without a sample-rate
	// countersEvery is how long packet counters from a load-view hook are used before they are read again.
	countersEvery time.Duration
	wake          func()
	pace          attach.Pace

	telemetry, device, interfaces, tunnel *kept.View

	asked    map[string]any // document of control-telemetry at the last report
	reported bool
}

func (a *agent) start(ctx context.Context, hub *attach.Hub) error {
	for _, view := range []struct {
		name    string
		keep    **kept.View
		changed func()
	}{
		{network.ControlTelemetryView, &a.telemetry, a.wake},
		// The other views may change often. They are read when a report is due.
		{network.ObserveDeviceView, &a.device, nil},
		{network.ObserveTunnelView, &a.tunnel, nil},
	} {
		var err error
		if *view.keep, err = hub.Keep(ctx, view.name, view.changed); err != nil {
			return err
		}
	}
	var err error
	a.interfaces, err = hub.KeepSupplied(ctx, network.ObserveInterfacesView, a.countersEvery)
	return err
}

func (a *agent) cycle(ctx context.Context, _ *attach.Hub) error {
	asked, err := a.telemetry.Get(ctx)
	if err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	changed := a.reported && !reflect.DeepEqual(asked, a.asked)
	if !changed && !a.pace.Due() {
		return nil
	}
	var settings network.ControlTelemetry
	if err := registry.Decode(asked, &settings); err != nil {
		return err
	}
	report, err := a.sample(ctx, settings)
	if err != nil {
		return err
	}
	if asked == nil {
		report.Missing = append(report.Missing, network.ControlTelemetryView)
	}
	pause, note := a.pause(settings)
	report.NextRun = pause.Seconds()
	if changed {
		a.log.Info("settings changed, reporting at once", "view", network.ControlTelemetryView)
	}
	a.outlet.show(ctx, report)
	if err := a.print(report, note); err != nil {
		return err
	}
	if changed || a.pace.Interval != pause {
		a.pace = attach.Pace{Interval: pause} // counted from now
	}
	a.pace.Done()
	a.asked, a.reported = asked, true
	return nil
}

// shortestPause is the shortest pause between reports: the schema does not limit sample-rate.
const shortestPause = 100 * time.Millisecond

// pause returns the pause after this report. If it is not 60 s / sample-rate, note says why.
func (a *agent) pause(settings network.ControlTelemetry) (pause time.Duration, note string) {
	switch rate := settings.SampleRate; {
	case rate == nil:
		return a.fallback, "no sample-rate is set"
	case *rate <= 0:
		return a.fallback, fmt.Sprintf("sample-rate %d sets no pace", *rate)
	case time.Minute/shortestPause < time.Duration(*rate):
		return shortestPause, fmt.Sprintf("sample-rate %d is too fast", *rate)
	default:
		return time.Duration(float64(time.Minute) / float64(*rate)), ""
	}
}

// sample reads what the settings ask for.
func (a *agent) sample(ctx context.Context, settings network.ControlTelemetry) (*Report, error) {
	report := &Report{Time: time.Now().UTC().Truncate(time.Millisecond)}
	var device network.ObserveDevice
	if err := read(ctx, a.device, &device, "uuid"); err != nil {
		return nil, err
	}
	report.DeviceID = device.UUID
	report.expect("device-id", device.UUID != "")

	sent, received := isTrue(settings.MonitorPacketsSent), isTrue(settings.MonitorPacketsReceived)
	var requests []string
	if sent {
		requests = append(requests, "packets-sent")
	}
	if received {
		requests = append(requests, "packets-received")
	}
	if len(requests) > 0 {
		var interfaces network.ObserveInterfaces
		if err := read(ctx, a.interfaces, &interfaces, requests...); err != nil {
			return nil, err
		}
		report.PacketsSent, report.PacketsReceived = interfaces.PacketsSent, interfaces.PacketsReceived
		report.expect("packets-sent", !sent || len(report.PacketsSent) > 0)
		report.expect("packets-received", !received || len(report.PacketsReceived) > 0)
	}

	if isTrue(settings.MonitorPeers) {
		var tunnel network.ObserveTunnel
		if err := read(ctx, a.tunnel, &tunnel, "peers"); err != nil {
			return nil, err
		}
		report.TunnelPeers = tunnel.Peers
		report.expect("tunnel-peers", len(tunnel.Peers) > 0)
	}
	return report, nil
}

// read is kept.View.Read, except that missing data is no error: the report lists it as missing.
func read(ctx context.Context, view *kept.View, dst any, requests ...string) error {
	err := view.Read(ctx, dst, requests...)
	if errors.Is(err, registry.ErrNoData) {
		return nil
	}
	return err
}

func isTrue(setting *bool) bool { return setting != nil && *setting }

func (a *agent) print(report *Report, note string) error {
	if !a.json {
		_, err := io.WriteString(a.out, report.text(note))
		return err
	}
	line, err := json.Marshal(report)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(line, '\n'))
	return err
}

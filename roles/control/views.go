package control

import (
	"context"
	"errors"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"
)

// A views has the registry's views that the agent reads. A kept view is read again only after a change.
type views struct {
	identity, device, tunnel, telemetry *kept.View
	counters                            counters
	interfaces                          map[string]any // document of control-interfaces after the last count or write
}

// watch opens the views. It calls moved after each change of control-device, because the server may have changed.
func (v *views) watch(ctx context.Context, hub *attach.Hub, moved func()) error {
	for _, view := range []struct {
		name    string
		keep    **kept.View
		changed func()
	}{
		{network.ObserveDeviceView, &v.identity, nil},
		{network.ControlDeviceView, &v.device, moved},
		{network.ControlTunnelView, &v.tunnel, nil},
		{network.ControlTelemetryView, &v.telemetry, nil},
	} {
		var err error
		if *view.keep, err = hub.Keep(ctx, view.name, view.changed); err != nil {
			return err
		}
	}
	return nil
}

// documents returns the documents of the control views by name, without views that show nothing. Do not modify them.
func (v *views) documents(ctx context.Context) (map[string]map[string]any, error) {
	documents := map[string]map[string]any{}
	if len(v.interfaces) > 0 {
		documents[network.ControlInterfacesView] = v.interfaces
	}
	for _, view := range v.controls() {
		document, err := view.Get(ctx)
		switch {
		case errors.Is(err, registry.ErrNoData):
		case err != nil:
			return nil, err
		default:
			documents[view.name] = document
		}
	}
	return documents, nil
}

// serverURL returns the server of control-device, or "".
func (v *views) serverURL(ctx context.Context) (string, error) {
	var device network.ControlDevice
	if err := v.device.Read(ctx, &device); err != nil && !errors.Is(err, registry.ErrNoData) {
		return "", err
	}
	return device.ServerURL, nil
}

// refresh reads the changed views. It spreads the reads, so that not all views are read at the moment when the server
// answers again.
func (v *views) refresh(ctx context.Context) error {
	if _, err := v.identity.Get(ctx); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	_, err := v.documents(ctx)
	return err
}

// advance stores the totals that count returns, and returns them.
func (v *views) advance(
	ctx context.Context, hub *attach.Hub, count func(network.ControlInterfaces) []traffic,
) ([]traffic, error) {
	list, document, err := v.counters.advance(ctx, hub, count)
	if err == nil {
		v.interfaces = document
	}
	return list, err
}

// readInterfaces reads control-interfaces. The other views are read on demand.
func (v *views) readInterfaces(ctx context.Context, hub *attach.Hub) error {
	document, err := v.counters.document(ctx, hub)
	if err != nil {
		return err
	}
	v.interfaces = document
	return nil
}

// A namedView is a kept view with its name.
type namedView struct {
	name string
	*kept.View
}

// controls returns the kept control views.
func (v *views) controls() [3]namedView {
	return [3]namedView{{network.ControlDeviceView, v.device}, {network.ControlTunnelView, v.tunnel},
		{network.ControlTelemetryView, v.telemetry}}
}

// forget makes the next use of each control view read it.
func (v *views) forget() {
	for _, view := range v.controls() {
		view.Forget()
	}
}

package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"
)

// defaults returns the default configuration: view -> request path of a leaf -> value.
func (c *counting) defaults() map[string]map[string]any {
	interfaces := map[string]network.InterfaceConfig{
		"eth0":  {InterfaceType: "ethernet", IPAddress: "172.16.0.3"},
		"wlan0": {InterfaceType: "wifi", IPAddress: "192.168.0.104"},
	}
	tunnel := "eth0"
	if system, ok := c.source.(*system); ok {
		interfaces, tunnel = system.defaults()
	}
	config := map[string]any{}
	for name, link := range interfaces {
		if link.InterfaceType != "" {
			config["config."+name+".interface-type"] = link.InterfaceType
		}
		if link.IPAddress != "" {
			config["config."+name+".ip-address"] = link.IPAddress
		}
	}
	return map[string]map[string]any{
		network.ControlDeviceView:     {"server-url": c.serverURL},
		network.ControlInterfacesView: config,
		network.ControlTunnelView:     tunnelDefaults(tunnel, interfaces),
		network.ControlTelemetryView: {
			"sample-rate":              2,
			"monitor-packets-sent":     true,
			"monitor-packets-received": false,
			"monitor-peers":            true,
		},
	}
}

// tunnelDefaults returns the defaults of the tunnel without values that the custodian's rules refuse.
func tunnelDefaults(name string, interfaces map[string]network.InterfaceConfig) map[string]any {
	own := map[string]bool{}
	for _, link := range interfaces {
		own[link.IPAddress] = true
	}
	var peers []any
	for _, peer := range []string{"192.168.21.3", "192.168.151.225", "192.168.21.7"} {
		if !own[peer] {
			peers = append(peers, peer)
		}
	}
	defaults := map[string]any{"peers": peers}
	if name != "" {
		defaults["interface"] = name
	}
	return defaults
}

// defaults returns the configuration of the real interfaces, and the interface for the tunnel: the first with an
// address, else the first, else "".
func (s *system) defaults() (interfaces map[string]network.InterfaceConfig, tunnel string) {
	interfaces = map[string]network.InterfaceConfig{}
	for _, link := range s.links {
		config := network.InterfaceConfig{InterfaceType: string(link.Kind)}
		if address, ok := link.IPv4(); ok {
			config.IPAddress = address.String()
			if tunnel == "" {
				tunnel = link.Name
			}
		}
		interfaces[link.Name] = config
	}
	if tunnel == "" && len(s.links) > 0 {
		tunnel = s.links[0].Name
	}
	return interfaces, tunnel
}

// writeDefaults writes the default configuration where nothing is set. It does so once for each state directory, so
// that values that somebody unsets stay unset, and again for a registry without any configuration. Each process
// checks once.
func (c *counting) writeDefaults(ctx context.Context, hub *attach.Hub) error {
	if c.defaultsDone {
		return nil
	}
	device, err := c.dir.Device()
	if err != nil {
		c.trouble.report(ofState, err)
		return nil // it may say that they were written
	}
	if !device.DefaultsWritten.IsZero() {
		empty, err := c.unconfigured(ctx, hub)
		if err != nil {
			return err
		}
		c.defaultsDone = !empty
	}
	if c.defaultsDone {
		return nil
	}
	defaults := c.defaults()
	for _, view := range slices.Sorted(maps.Keys(defaults)) {
		written, err := fillIn(ctx, hub.View(view), defaults[view])
		if err != nil {
			return err
		}
		if len(written) > 0 {
			c.log.Info("default configuration written", "view", view, "paths", written)
		}
	}
	for _, view := range c.views.controls() {
		view.Forget()
	}
	c.views.counters.forget()
	c.defaultsDone = true
	// Another process may hold the lock while it waits for the server; counting does not wait that long.
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err = c.dir.Change(ctx, func(device *state.Device) { device.DefaultsWritten = time.Now().UTC().Truncate(time.Second) })
	if err != nil {
		c.trouble.report(ofState, err)
	}
	return nil
}

// unconfigured reports whether no view shows any configuration.
func (c *counting) unconfigured(ctx context.Context, hub *attach.Hub) (bool, error) {
	for _, view := range c.views.controls() {
		if _, err := view.Get(ctx); !errors.Is(err, registry.ErrNoData) {
			return false, err
		}
	}
	_, err := hub.View(network.ControlInterfacesView).Get(ctx, "config")
	if errors.Is(err, registry.ErrNoData) {
		return true, nil
	}
	return false, err
}

// fillIn writes the leaves that have no value, and returns their request paths, sorted.
func fillIn(ctx context.Context, view *registry.View, leaves map[string]any) (written []string, err error) {
	if len(leaves) == 0 {
		return nil, nil
	}
	requests := slices.Sorted(maps.Keys(leaves))
	err = view.Update(ctx, requests, func(current map[string]any) (map[string]any, error) {
		missing := map[string]any{}
		for _, request := range requests {
			if _, set := current[request]; !set {
				missing[request] = leaves[request]
			}
		}
		written = slices.Sorted(maps.Keys(missing))
		return missing, nil
	})
	return written, err
}

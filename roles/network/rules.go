package network

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// The bounds of sample-rate, in reports a minute.
const (
	MinSampleRate = 1
	MaxSampleRate = 60
)

// A Configuration has the values of all control views. An unknown view is the zero value.
type Configuration struct {
	Device     ControlDevice
	Interfaces ControlInterfaces
	Tunnel     ControlTunnel
	Telemetry  ControlTelemetry
}

// Objections returns the reasons why the roles' rules, beyond the storage schema, refuse a configuration. Each is a
// phrase for the writer. The order is fixed. A missing value is no objection. A custodian refuses a write for its Added
// objections.
func (c Configuration) Objections() []string {
	return slices.Concat(c.Device.objections(), c.Telemetry.objections(), c.objectionsToTunnel())
}

// Added returns the objections to after that before does not have. A custodian does not refuse a write for an old fault
// that the write does not touch.
func Added(before, after Configuration) []string {
	known := before.Objections()
	return slices.DeleteFunc(after.Objections(), func(text string) bool { return slices.Contains(known, text) })
}

func (d ControlDevice) objections() []string {
	if d.ServerURL == "" {
		return nil
	}
	reason := ""
	switch parsed, err := url.Parse(d.ServerURL); {
	case err != nil:
		reason = "it cannot be read"
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		reason = "it must begin with http:// or https://"
	case parsed.Hostname() == "":
		reason = "it names no host"
	case parsed.User != nil:
		reason = "it must not carry a user name or password"
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		reason = `it must not have a part after "?" or "#"`
	default:
		return nil
	}
	return []string{fmt.Sprintf("server-url %q is no address of a server: %s", d.ServerURL, reason)}
}

func (t ControlTelemetry) objections() []string {
	if t.SampleRate == nil || *t.SampleRate >= MinSampleRate && *t.SampleRate <= MaxSampleRate {
		return nil
	}
	return []string{fmt.Sprintf("sample-rate is reports a minute: %d to %d, not %d", MinSampleRate, MaxSampleRate,
		*t.SampleRate)}
}

func (c Configuration) objectionsToTunnel() []string {
	var list []string
	if name := c.Tunnel.Interface; name != "" {
		if _, configured := c.Interfaces.Config[name]; !configured {
			known := "none is"
			if names := slices.Sorted(maps.Keys(c.Interfaces.Config)); len(names) > 0 {
				known = "there are " + strings.Join(names, ", ")
			}
			list = append(list, fmt.Sprintf("the tunnel's interface %q is not configured in %s: %s", name,
				ControlInterfacesView, known))
		}
	}
	own := map[netip.Addr]string{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(c.Interfaces.Config))) {
		if address, err := netip.ParseAddr(c.Interfaces.Config[name].IPAddress); err == nil {
			own[address] = name
		}
	}
	seen := map[string]bool{}
	for _, peer := range c.Tunnel.Peers {
		if seen[peer] {
			list = append(list, fmt.Sprintf("peer %s is there twice", peer))
		}
		seen[peer] = true
		if address, err := netip.ParseAddr(peer); err == nil && own[address] != "" {
			list = append(list, fmt.Sprintf("peer %s is this device itself, by its interface %s", peer, own[address]))
		}
	}
	return list
}

package network

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// The reports a minute that sample-rate may ask for.
const (
	MinSampleRate = 1
	MaxSampleRate = 60
)

// A Configuration is what the control views show together, as far as it is known: a view that is not known is left at
// its zero value.
type Configuration struct {
	Device     ControlDevice
	Interfaces ControlInterfaces
	Tunnel     ControlTunnel
	Telemetry  ControlTelemetry
}

// Objections returns what speaks against a configuration beyond what the storage schema can say, each as a phrase for
// whoever wrote it, in a fixed order; none for a sound one. What is absent is sound. A custodian refuses a write for
// what it adds to the objections; see Added.
func (c Configuration) Objections() []string {
	return slices.Concat(c.Device.objections(), c.Telemetry.objections(), c.objectionsToTunnel())
}

// Added returns the objections to after that did not speak against before: a write must not be refused for what was
// wrong already and what it leaves alone.
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

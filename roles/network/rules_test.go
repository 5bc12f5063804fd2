package network_test

import (
	"testing"

	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

func TestObjections(t *testing.T) {
	device := func(url string) network.Configuration {
		return network.Configuration{Device: network.ControlDevice{ServerURL: url}}
	}
	rate := func(rate int) network.Configuration {
		return network.Configuration{Telemetry: network.ControlTelemetry{SampleRate: &rate}}
	}
	interfaces := network.ControlInterfaces{Config: map[string]network.InterfaceConfig{
		"eth0": {InterfaceType: "ethernet", IPAddress: "172.16.0.3"}, "wlan0": {IPAddress: "192.168.0.104"},
		"usb0": {InterfaceType: "ethernet"},
	}}
	tunnel := func(name string, peers ...string) network.Configuration {
		return network.Configuration{Interfaces: interfaces, Tunnel: network.ControlTunnel{Interface: name, Peers: peers}}
	}
	tests := []struct {
		name string
		of   network.Configuration
		want []string
	}{
		{"nothing", network.Configuration{}, nil},
		{"interfaces alone", network.Configuration{Interfaces: interfaces}, nil},

		{"http", device("http://127.0.0.1:8000"), nil},
		{"https", device("https://fleet.example.com/base"), nil},
		{"other scheme", device("ftp://x"),
			[]string{`server-url "ftp://x" is no address of a server: it must begin with http:// or https://`}},
		{"no scheme", device("localhost:8000"),
			[]string{`server-url "localhost:8000" is no address of a server: it must begin with http:// or https://`}},
		{"no host", device("http://"), []string{`server-url "http://" is no address of a server: it names no host`}},
		{"port alone", device("http://:80"), []string{`server-url "http://:80" is no address of a server: it names no host`}},
		{"unreadable", device("http://[::1"),
			[]string{`server-url "http://[::1" is no address of a server: it cannot be read`}},
		{"password", device("http://me:secret@x"),
			[]string{`server-url "http://me:secret@x" is no address of a server: it must not carry a user name or password`}},
		{"query", device("http://x?y"),
			[]string{`server-url "http://x?y" is no address of a server: it must not have a part after "?" or "#"`}},

		{"slowest", rate(1), nil},
		{"fastest", rate(60), nil},
		{"none a minute", rate(0), []string{"sample-rate is reports a minute: 1 to 60, not 0"}},
		{"too fast", rate(90), []string{"sample-rate is reports a minute: 1 to 60, not 90"}},
		{"negative", rate(-2), []string{"sample-rate is reports a minute: 1 to 60, not -2"}},

		{"tunnel", tunnel("eth0", "192.168.21.3", "192.168.151.225"), nil},
		{"tunnel without interface", tunnel("", "192.168.21.3"), nil},
		{"tunnel on an interface without address", tunnel("usb0"), nil},
		{"no such interface", tunnel("eth9"),
			[]string{`the tunnel's interface "eth9" is not configured in control-interfaces: there are eth0, usb0, wlan0`}},
		{"no interface at all", network.Configuration{Tunnel: network.ControlTunnel{Interface: "eth0"}},
			[]string{`the tunnel's interface "eth0" is not configured in control-interfaces: none is`}},
		{"itself", tunnel("eth0", "10.0.0.1", "192.168.0.104"),
			[]string{"peer 192.168.0.104 is this device itself, by its interface wlan0"}},
		{"twice", tunnel("eth0", "10.0.0.1", "10.0.0.2", "10.0.0.1"), []string{"peer 10.0.0.1 is there twice"}},
		{"all of it", tunnel("eth9", "172.16.0.3", "x", "x"), []string{
			`the tunnel's interface "eth9" is not configured in control-interfaces: there are eth0, usb0, wlan0`,
			"peer 172.16.0.3 is this device itself, by its interface eth0", "peer x is there twice"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.of.Objections()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A write is answerable for what it makes worse, not for what it finds.
func TestAdded(t *testing.T) {
	before := network.Configuration{Tunnel: network.ControlTunnel{Interface: "eth9", Peers: []string{"10.0.0.1"}}}
	after := before
	after.Tunnel.Peers = []string{"10.0.0.1", "10.0.0.2"}
	if added := network.Added(before, after); len(added) > 0 {
		t.Errorf("what was wrong before is added: %q", added)
	}
	after.Tunnel.Peers = []string{"10.0.0.1", "10.0.0.1"}
	if diff := cmp.Diff([]string{"peer 10.0.0.1 is there twice"}, network.Added(before, after)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if added := network.Added(after, before); len(added) > 0 {
		t.Errorf("what mends something adds %q", added)
	}
}

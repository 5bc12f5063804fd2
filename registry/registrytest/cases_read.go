package registrytest

import (
	"encoding/json"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

type obj = map[string]any
type list = []any

// full writes data through every writable view.
func full(s *suite) {
	s.Helper()
	if err := s.prepare(s.ctx, s.reg, beginning()); err != nil {
		s.Fatalf("write what the case begins with: %v", err)
	}
}

// beginning returns the data at the start of most cases.
func beginning() registry.Changes {
	return registry.Changes{
		testschema.ControlDeviceView: {
			"id": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0", "registered": 1735689600, "server-url": "http://127.0.0.1:8000",
		},
		testschema.ControlInterfacesView: {
			"config": obj{
				"eth0":  obj{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
				"wlan0": obj{"interface-type": "wifi", "ip-address": "192.168.0.104"},
			},
			"stats": obj{"eth0": obj{"n-sent": 3, "n-received": 1}, "wlan0": obj{"n-sent": 0, "n-received": 7}},
		},
		testschema.ControlTunnelView: {
			"interface": "eth0", "secret-key": "s3cret", "peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"},
		},
		testschema.ControlTelemetryView: {"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false},
	}
}

var readCases = []contractCase{
	{name: "read/whole view", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false})
		s.wantGet(testschema.ControlDeviceView, obj{"server-url": "http://127.0.0.1:8000"})
		s.wantGet(testschema.ObserveDeviceView,
			obj{"uuid": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0", "registered": 1735689600})
		s.wantGet(testschema.ControlTunnelView,
			obj{"interface": "eth0", "peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}})
		s.wantGet(testschema.ObserveTunnelView, obj{"peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}})
		s.wantGet(testschema.ControlInterfacesView, obj{
			"config": obj{
				"eth0":  obj{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
				"wlan0": obj{"interface-type": "wifi", "ip-address": "192.168.0.104"},
			},
			"stats": obj{"eth0": obj{"n-sent": 3, "n-received": 1}, "wlan0": obj{"n-sent": 0, "n-received": 7}},
		})
		s.wantGet(testschema.ObserveInterfacesView, obj{
			"packets-sent":     obj{"eth0": 3, "wlan0": 0},
			"packets-received": obj{"eth0": 1, "wlan0": 7},
			"eth0": obj{
				"config": obj{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
				"stats":  obj{"n-sent": 3, "n-received": 1},
			},
			"wlan0": obj{
				"config": obj{"interface-type": "wifi", "ip-address": "192.168.0.104"},
				"stats":  obj{"n-sent": 0, "n-received": 7},
			},
		})
	}},
	{name: "read/one request", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 2}, "sample-rate")
		s.wantGet(testschema.ControlTelemetryView, obj{"monitor-peers": false}, "monitor-peers")
		s.wantGet(testschema.ControlDeviceView, obj{"server-url": "http://127.0.0.1:8000"}, "server-url")
		s.wantGet(testschema.ObserveTunnelView, obj{"peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}}, "peers")
	}},
	{name: "read/results are named as they were requested", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.ControlInterfacesView, obj{
			"config.eth0":             obj{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
			"config.wlan0.ip-address": "192.168.0.104",
			"stats": obj{
				"eth0": obj{"n-sent": 3, "n-received": 1}, "wlan0": obj{"n-sent": 0, "n-received": 7},
			},
		}, "config.eth0", "config.wlan0.ip-address", "stats")
		s.wantGet(testschema.ObserveInterfacesView,
			obj{"packets-sent.eth0": 3, "packets-received": obj{"eth0": 1, "wlan0": 7}},
			"packets-sent.eth0", "packets-received")
	}},
	{name: "read/requests without data are left out", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 2}, "sample-rate", "monitor-packets-received")
		s.wantGet(testschema.ControlInterfacesView, obj{"config.eth0.ip-address": "172.16.0.3"},
			"config.eth0.ip-address", "config.tun0", "stats.tun0")
	}},
	{name: "read/the same request twice", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 2}, "sample-rate", "sample-rate")
	}},
	{name: "read/no data", run: func(s *suite) {
		s.wantNoData(testschema.ControlTelemetryView)
		s.wantNoData(testschema.ControlTelemetryView, "sample-rate")
		s.wantNoData(testschema.ControlTelemetryView, "sample-rate", "monitor-peers")
		full(s)
		s.wantNoData(testschema.ControlTelemetryView, "monitor-packets-received")
		s.wantNoData(testschema.ControlInterfacesView, "config.tun0.ip-address")
	}},
	{name: "read/a view without data beside one with", run: func(s *suite) {
		s.set(testschema.ControlTunnelView, obj{"interface": "eth0"})
		s.wantNoData(testschema.ControlTelemetryView)
		s.wantNoData(testschema.ObserveTunnelView)
		s.wantGet(testschema.ControlTunnelView, obj{"interface": "eth0"})
	}},
	{name: "read/views are named in full too", run: func(s *suite) {
		full(s)
		s.wantGet(testschema.Name+"/"+testschema.ControlTelemetryView, obj{"sample-rate": 2}, "sample-rate")
		s.wantGet(fullName(testschema.Name, testschema.ControlTelemetryView), obj{"sample-rate": 2}, "sample-rate")
	}},
	{name: "read/into a struct", run: func(s *suite) {
		full(s)
		rate, yes, no := 2, true, false
		want := testschema.ControlTelemetry{SampleRate: &rate, MonitorPacketsSent: &yes, MonitorPeers: &no}
		var got testschema.ControlTelemetry
		if err := s.view(testschema.ControlTelemetryView).Read(s.ctx, &got); err != nil {
			s.Fatalf("read: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.Errorf("read (-want +got):\n%s", diff)
		}
		untouched := testschema.ControlTelemetry{SampleRate: &rate}
		err := s.view(testschema.ControlTelemetryView).Read(s.ctx, &untouched, "monitor-packets-received")
		s.wantKind(registry.ErrNoData, err, "read of what is not there")
		if diff := cmp.Diff(testschema.ControlTelemetry{SampleRate: &rate}, untouched); diff != "" {
			s.Errorf("a failed read changed its destination (-want +got):\n%s", diff)
		}
	}},
	{name: "read/as JSON text", run: func(s *suite) {
		full(s)
		text, err := s.view(testschema.ControlTelemetryView).Raw(s.ctx, "sample-rate", "monitor-peers")
		if err != nil {
			s.Fatalf("raw: %v", err)
		}
		if want := `{"monitor-peers":false,"sample-rate":2}`; string(text) != want {
			s.Errorf("raw = %s, want %s", text, want)
		}
	}},
	{name: "read/constraints choose entries of a placeholder", run: func(s *suite) {
		full(s)
		got, err := s.view(testschema.ControlInterfacesView).GetWith(s.ctx, obj{"name": "eth0"}, "config")
		if err != nil {
			s.Fatalf("get with name=eth0: %v", err)
		}
		s.same("get with name=eth0",
			obj{"config": obj{"eth0": obj{"interface-type": "ethernet", "ip-address": "172.16.0.3"}}}, got)
		_, err = s.view(testschema.ControlInterfacesView).GetWith(s.ctx, obj{"name": "tun0"}, "config")
		s.wantKind(registry.ErrNoData, err, "get with name=tun0")
	}},
	{name: "read/a constraint without use is refused", run: func(s *suite) {
		full(s)
		_, err := s.view(testschema.ControlInterfacesView).GetWith(s.ctx, obj{"colour": "red"}, "config")
		s.wantKind(registry.ErrBadRequest, err, "get with colour=red")
	}},
	{name: "read/constraints are scalars", run: func(s *suite) {
		full(s)
		for _, value := range []any{nil, list{"eth0"}, obj{"a": "eth0"}} {
			_, err := s.view(testschema.ControlInterfacesView).GetWith(s.ctx, obj{"name": value}, "config")
			s.wantKind(registry.ErrBadRequest, err, "get with name=%v", value)
		}
	}},
	{name: "read/values are copies", run: func(s *suite) {
		full(s)
		first, err := s.view(testschema.ControlTunnelView).Get(s.ctx)
		if err != nil {
			s.Fatalf("get: %v", err)
		}
		first["peers"].(list)[0] = "6.6.6.6"
		first["interface"] = "evil0"
		delete(first, "peers")
		s.wantGet(testschema.ControlTunnelView,
			obj{"interface": "eth0", "peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}})
	}},
	{name: "read/numbers are json.Number", run: func(s *suite) {
		full(s)
		got, err := s.view(testschema.ObserveInterfacesView).Get(s.ctx, "packets-sent")
		if err != nil {
			s.Fatalf("get: %v", err)
		}
		if n, ok := got["packets-sent"].(obj)["eth0"].(json.Number); !ok || n != "3" {
			s.Errorf("packets-sent.eth0 is %#v, want json.Number 3", got["packets-sent"].(obj)["eth0"])
		}
	}},
}

package registrytest

import (
	"encoding/json"
	"strconv"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

var writeCases = []contractCase{
	{name: "write/every shape", run: func(s *suite) {
		s.set(testschema.ControlTelemetryView, obj{"monitor-peers": true})
		s.wantGet(testschema.ControlTelemetryView, obj{"monitor-peers": true})
		s.set(testschema.ControlTelemetryView, obj{"monitor-peers": false})
		s.wantGet(testschema.ControlTelemetryView, obj{"monitor-peers": false})
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 0})
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 0}, "sample-rate")
		s.set(testschema.ControlTunnelView, obj{"interface": ""})
		s.wantGet(testschema.ControlTunnelView, obj{"interface": ""}, "interface")
		s.set(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1"}})
		s.wantGet(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1"}}, "peers")
		s.set(testschema.ControlInterfacesView, obj{"stats.eth0": obj{"n-sent": 1, "n-received": 2}})
		s.wantGet(testschema.ControlInterfacesView, obj{"stats": obj{"eth0": obj{"n-sent": 1, "n-received": 2}}})
		s.set(testschema.ControlInterfacesView, obj{"config.eth0.ip-address": "172.16.0.3"})
		s.wantGet(testschema.ControlInterfacesView, obj{"config.eth0": obj{"ip-address": "172.16.0.3"}}, "config.eth0")
	}},
	{name: "write/alternatives of a type", run: func(s *suite) {
		s.set(testschema.ControlDeviceView, obj{"registered": 1735689600})
		s.wantGet(testschema.ObserveDeviceView, obj{"registered": 1735689600})
		s.set(testschema.ControlDeviceView, obj{"registered": "2024-06-26 13:11:57"})
		s.wantGet(testschema.ObserveDeviceView, obj{"registered": "2024-06-26 13:11:57"})
	}},
	{name: "write/several requests at once", run: func(s *suite) {
		s.set(testschema.ControlTelemetryView, obj{
			"sample-rate": 4, "monitor-packets-sent": true, "monitor-packets-received": false, "monitor-peers": true,
		})
		s.wantGet(testschema.ControlTelemetryView, obj{
			"sample-rate": 4, "monitor-packets-sent": true, "monitor-packets-received": false, "monitor-peers": true,
		})
	}},
	{name: "write/what is not named stays", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 9})
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 9, "monitor-packets-sent": true, "monitor-peers": false})
	}},
	{name: "write/a struct", run: func(s *suite) {
		rate, yes := 5, true
		s.set(testschema.ControlTelemetryView, testschema.ControlTelemetry{SampleRate: &rate, MonitorPeers: &yes})
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 5, "monitor-peers": true})
	}},
	{name: "write/lists keep their order", run: func(s *suite) {
		peers := list{"10.0.0.9", "10.0.0.10", "10.0.0.1", "192.168.1.1", "10.0.0.2"}
		s.set(testschema.ControlTunnelView, obj{"peers": peers})
		s.wantGet(testschema.ObserveTunnelView, obj{"peers": peers})
		peers = list{"10.0.0.2", "10.0.0.9"}
		s.set(testschema.ControlTunnelView, obj{"peers": peers})
		s.wantGet(testschema.ObserveTunnelView, obj{"peers": peers})
	}},
	{name: "write/a map replaces the map", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlInterfacesView, obj{"config.eth0": obj{"ip-address": "10.0.0.9"}})
		s.wantGet(testschema.ControlInterfacesView, obj{"config": obj{
			"eth0":  obj{"ip-address": "10.0.0.9"},
			"wlan0": obj{"interface-type": "wifi", "ip-address": "192.168.0.104"},
		}}, "config")
	}},
	{name: "write/a nested request merges", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlInterfacesView, obj{"config.eth0.ip-address": "10.0.0.9"})
		s.wantGet(testschema.ControlInterfacesView,
			obj{"config.eth0": obj{"interface-type": "ethernet", "ip-address": "10.0.0.9"}}, "config.eth0")
	}},
	{name: "write/through a placeholder only the named entries", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlInterfacesView, obj{"stats": obj{"eth0": obj{"n-sent": 8, "n-received": 8}}})
		s.wantGet(testschema.ControlInterfacesView, obj{"stats": obj{
			"eth0": obj{"n-sent": 8, "n-received": 8}, "wlan0": obj{"n-sent": 0, "n-received": 7},
		}}, "stats")
	}},
	{name: "write/what one view writes another one shows", run: func(s *suite) {
		s.set(testschema.ControlInterfacesView, obj{"stats.eth0": obj{"n-sent": 5, "n-received": 6}})
		s.wantGet(testschema.ObserveInterfacesView, obj{
			"packets-sent": obj{"eth0": 5}, "packets-received": obj{"eth0": 6},
			"eth0": obj{"stats": obj{"n-sent": 5, "n-received": 6}},
		})
	}},
	{name: "write/what can be written only", run: func(s *suite) {
		s.set(testschema.ControlTunnelView, obj{"secret-key": "s3cret"})
		s.set(testschema.ControlDeviceView, obj{"id": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0", "registered": 1735689600})
		s.wantNoData(testschema.ControlTunnelView)
		s.wantGet(testschema.ObserveDeviceView, obj{"uuid": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0", "registered": 1735689600})
		s.set(testschema.ControlTunnelView, obj{"secret-key": nil})
	}},
	{name: "write/the same values again", run: func(s *suite) {
		full(s)
		full(s)
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false})
	}},
	{name: "write/strings of any kind", run: func(s *suite) {
		for _, text := range few(s, 6,
			"null", `"quoted"`, "--help", "k!", "line\nbreak\ttab", "ü — 東京 🚀", "5", "true", "{}", "[]", "-t", "a=b", "=", "!",
			" spaces ", "back\\slash", "<&>", "\u2028\u2029", "%s %d %!", "a,b;c", "e\u0301", "\u00e9",
		) {
			s.set(testschema.ControlTunnelView, obj{"interface": text})
			s.wantGet(testschema.ControlTunnelView, obj{"interface": text}, "interface")
		}
	}},
	{name: "write/integers to 2^53", run: func(s *suite) {
		for _, n := range few[int64](s, 3, 0, 1<<32+1, 1<<53, 1, 255, 1e6, 123456789, 1e15, 1<<53-1) {
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": n})
			s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": n}, "sample-rate")
		}
	}},
	{name: "write/integers beyond 2^53 stay integers", run: func(s *suite) {
		// snapd stores numbers as 64-bit floats. A backend may refuse a number that would lose digits, or round it as
		// snapd does; the result is an integer either way.
		for _, n := range []int64{1<<53 + 1, 1234567890123456789} {
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": 1})
			err := s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{"sample-rate": n})
			if err != nil {
				s.wantKind(registry.ErrBadRequest, err, "set %d", n)
				s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 1})
				continue
			}
			got, err := s.view(testschema.ControlTelemetryView).Get(s.ctx, "sample-rate")
			if err != nil {
				s.Fatalf("get after setting %d: %v", n, err)
			}
			number, _ := got["sample-rate"].(json.Number)
			back, err := strconv.ParseInt(string(number), 10, 64)
			if err != nil || float64(back) != float64(n) {
				s.Errorf("%d came back as %v", n, got["sample-rate"])
			}
		}
	}},
	{name: "write/integers in other forms", run: func(s *suite) {
		for form, plain := range map[string]int{"4.0": 4, "1e3": 1000, "2.5E1": 25, "100e-2": 1} {
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": json.Number(form)})
			s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": plain}, "sample-rate")
		}
	}},
	{name: "write/values are copied", run: func(s *suite) {
		peers := list{"10.0.0.1", "10.0.0.2"}
		values := obj{"peers": peers, "interface": "eth0"}
		s.set(testschema.ControlTunnelView, values)
		peers[0] = "6.6.6.6"
		values["interface"] = "evil0"
		s.wantGet(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1", "10.0.0.2"}, "interface": "eth0"})
	}},
	{name: "write/the caller's values stay as they are", run: func(s *suite) {
		values := obj{"config.eth0": obj{"ip-address": "10.0.0.1", "interface-type": nil}, "stats.eth0": nil}
		s.set(testschema.ControlInterfacesView, values)
		s.same("the caller's values",
			obj{"config.eth0": obj{"ip-address": "10.0.0.1", "interface-type": nil}, "stats.eth0": nil}, values)
		s.wantGet(testschema.ControlInterfacesView, obj{"config": obj{"eth0": obj{"ip-address": "10.0.0.1"}}})
	}},
	{name: "write/a list as large as it gets", run: func(s *suite) {
		peers := list{}
		for i := range 250 {
			peers = append(peers, "10.0.7."+strconv.Itoa(i))
		}
		s.set(testschema.ControlTunnelView, obj{"peers": peers})
		s.wantGet(testschema.ObserveTunnelView, obj{"peers": peers})
	}},
	{name: "unset/a request", run: func(s *suite) {
		full(s)
		s.unset(testschema.ControlTelemetryView, "monitor-peers")
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 2, "monitor-packets-sent": true})
		s.wantNoData(testschema.ControlTelemetryView, "monitor-peers")
	}},
	{name: "unset/several requests", run: func(s *suite) {
		full(s)
		s.unset(testschema.ControlTelemetryView, "monitor-peers", "monitor-packets-sent", "sample-rate")
		s.wantNoData(testschema.ControlTelemetryView)
		s.wantGet(testschema.ControlDeviceView, obj{"server-url": "http://127.0.0.1:8000"})
	}},
	{name: "unset/an entry of a placeholder", run: func(s *suite) {
		full(s)
		s.unset(testschema.ControlInterfacesView, "config.eth0")
		s.wantGet(testschema.ControlInterfacesView, obj{"config": obj{
			"wlan0": obj{"interface-type": "wifi", "ip-address": "192.168.0.104"},
		}}, "config")
		s.wantGet(testschema.ControlInterfacesView,
			obj{"stats.eth0": obj{"n-sent": 3, "n-received": 1}}, "stats.eth0")
	}},
	{name: "unset/a prefix removes all below it", run: func(s *suite) {
		full(s)
		s.unset(testschema.ControlInterfacesView, "config")
		s.wantNoData(testschema.ControlInterfacesView, "config")
		s.wantGet(testschema.ObserveInterfacesView, obj{
			"packets-sent": obj{"eth0": 3, "wlan0": 0}, "packets-received": obj{"eth0": 1, "wlan0": 7},
			"eth0": obj{"stats": obj{"n-sent": 3, "n-received": 1}}, "wlan0": obj{"stats": obj{"n-sent": 0, "n-received": 7}},
		})
	}},
	{name: "unset/the last leaf removes what held it", run: func(s *suite) {
		s.set(testschema.ControlInterfacesView, obj{"config.eth0.ip-address": "10.0.0.1"})
		s.unset(testschema.ControlInterfacesView, "config.eth0.ip-address")
		s.wantNoData(testschema.ControlInterfacesView, "config.eth0")
		s.wantNoData(testschema.ControlInterfacesView)
		s.wantNoData(testschema.ObserveInterfacesView)
	}},
	{name: "unset/what is not there", run: func(s *suite) {
		s.unset(testschema.ControlTelemetryView, "sample-rate")
		full(s)
		s.unset(testschema.ControlTelemetryView, "monitor-packets-received")
		s.unset(testschema.ControlInterfacesView, "config.tun0")
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false})
	}},
	{name: "unset/nil beside values", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 7, "monitor-peers": nil, "monitor-packets-received": true})
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 7, "monitor-packets-sent": true, "monitor-packets-received": true})
	}},
	{name: "unset/nil inside a map leaves the entry out", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlInterfacesView,
			obj{"config.eth0": obj{"ip-address": "10.0.0.9", "interface-type": nil}})
		s.wantGet(testschema.ControlInterfacesView, obj{"config.eth0": obj{"ip-address": "10.0.0.9"}}, "config.eth0")
	}},
	{name: "unset/an empty list", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlTunnelView, obj{"peers": list{}})
		s.wantNoData(testschema.ControlTunnelView, "peers")
		s.wantGet(testschema.ControlTunnelView, obj{"interface": "eth0"})
	}},
	{name: "unset/an empty map", run: func(s *suite) {
		full(s)
		s.set(testschema.ControlInterfacesView, obj{"stats.eth0": obj{}})
		s.wantNoData(testschema.ControlInterfacesView, "stats.eth0")
		s.wantGet(testschema.ControlInterfacesView,
			obj{"stats": obj{"wlan0": obj{"n-sent": 0, "n-received": 7}}}, "stats")
	}},
}

func (s *suite) unset(view string, requests ...string) {
	s.Helper()
	if err := s.view(view).Unset(s.ctx, requests...); err != nil {
		s.Fatalf("unset %q through %s: %v", requests, view, err)
	}
}

// stays runs an act that must fail, and checks that all views show the same as before.
func (s *suite) stays(what string, kind error, act func() error) {
	s.Helper()
	before := s.everything()
	s.wantKind(kind, act(), "%s", what)
	after := s.everything()
	for view, document := range before {
		s.same(what+", then "+view, document, after[view])
	}
}

// everything returns the documents of all views.
func (s *suite) everything() map[string]obj {
	s.Helper()
	documents := map[string]obj{}
	for _, view := range []string{
		testschema.ControlDeviceView, testschema.ObserveDeviceView, testschema.ControlInterfacesView,
		testschema.ControlTunnelView, testschema.ControlTelemetryView,
	} {
		document, err := s.view(view).Get(s.ctx)
		if err != nil && !isNoData(err) {
			s.Fatalf("get %s: %v", view, err)
		}
		if document == nil {
			document = obj{}
		}
		documents[view] = document
	}
	return documents
}

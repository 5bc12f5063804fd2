package registrytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

var errTest = errors.New("refused by the test")

var updateCases = []contractCase{
	{name: "update/reads and writes", run: func(s *suite) {
		full(s)
		err := s.view(testschema.ControlTunnelView).Update(s.ctx, []string{"peers"}, func(current obj) (obj, error) {
			s.same("what update read", obj{"peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}}, current)
			return obj{"peers": append(current["peers"].(list)[1:], "10.0.0.77")}, nil
		})
		if err != nil {
			s.Fatalf("update: %v", err)
		}
		s.wantGet(testschema.ControlTunnelView,
			obj{"interface": "eth0", "peers": list{"10.0.0.1", "10.0.0.5", "10.0.0.77"}})
	}},
	{name: "update/the whole view", run: func(s *suite) {
		full(s)
		err := s.view(testschema.ControlTelemetryView).Update(s.ctx, nil, func(current obj) (obj, error) {
			s.same("what update read",
				obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false}, current)
			return obj{"monitor-peers": nil, "sample-rate": 3}, nil
		})
		if err != nil {
			s.Fatalf("update: %v", err)
		}
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 3, "monitor-packets-sent": true})
	}},
	{name: "update/no data is an empty map", run: func(s *suite) {
		err := s.view(testschema.ControlTelemetryView).Update(s.ctx, []string{"sample-rate"},
			func(current obj) (obj, error) {
				if current == nil || len(current) > 0 {
					s.Errorf("update read %#v, want an empty map", current)
				}
				return obj{"sample-rate": 1}, nil
			})
		if err != nil {
			s.Fatalf("update: %v", err)
		}
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 1})
	}},
	{name: "update/nothing to change", run: func(s *suite) {
		full(s)
		for _, nothing := range []obj{nil, {}} {
			err := s.view(testschema.ControlTelemetryView).Update(s.ctx, nil, func(current obj) (obj, error) {
				current["sample-rate"] = json.Number("66")
				return nothing, nil
			})
			if err != nil {
				s.Fatalf("update: %v", err)
			}
		}
		s.wantGet(testschema.ControlTelemetryView,
			obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false})
	}},
	{name: "update/an error of the change is handed on", run: func(s *suite) {
		full(s)
		err := s.view(testschema.ControlTelemetryView).Update(s.ctx, nil, func(obj) (obj, error) {
			return obj{"sample-rate": 66}, errTest
		})
		if !errors.Is(err, errTest) {
			s.Fatalf("update = %v, want %v", err, errTest)
		}
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 2}, "sample-rate")
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 3}) // nothing is held any more
	}},
	{name: "update/a violation changes nothing", run: func(s *suite) {
		full(s)
		s.stays("update", registry.ErrInvalid, func() error {
			return s.view(testschema.ControlTelemetryView).Update(s.ctx, nil, func(obj) (obj, error) {
				return obj{"sample-rate": -1, "monitor-peers": true}, nil
			})
		})
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 3})
	}},
	{name: "update/a request without a rule", run: func(s *suite) {
		err := s.view(testschema.ControlTelemetryView).Update(s.ctx, []string{"nonsense"}, func(obj) (obj, error) {
			s.Errorf("the change ran")
			return nil, nil
		})
		s.wantKind(registry.ErrNoMatch, err, "update")
	}},
	{name: "update/none is lost where that is promised", run: func(s *suite) {
		if !s.caps.AtomicUpdate {
			s.Logf("not promised by this backend")
			return
		}
		s.count(s.reg, s.reg)
	}},
	{name: "update/none is lost between two handles where that is promised", twice: true, run: func(s *suite) {
		if !s.caps.AtomicUpdate {
			s.Logf("not promised by this backend")
			return
		}
		s.count(s.reg, s.again())
	}},
}

// count has four workers add to one counter, and checks that no addition is lost.
func (s *suite) count(handles ...*registry.Registry) {
	s.Helper()
	const workers, times = 4, 25
	add := func(reg *registry.Registry) error {
		return reg.View(testschema.ControlTelemetryView).Update(s.ctx, []string{"sample-rate"},
			func(current obj) (obj, error) {
				n := int64(0)
				if number, ok := current["sample-rate"].(json.Number); ok {
					var err error
					if n, err = number.Int64(); err != nil {
						return nil, err
					}
				}
				return obj{"sample-rate": n + 1}, nil
			})
	}
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for range times {
				if err := add(handles[worker%len(handles)]); err != nil {
					failures[worker] = err
					return
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		s.Fatalf("update: %v", err)
	}
	for _, reg := range handles {
		s.wantGetFrom(reg, testschema.ControlTelemetryView, obj{"sample-rate": workers * times})
	}
}

var applyCases = []contractCase{
	{name: "apply/several views", run: func(s *suite) {
		full(s)
		err := s.reg.Apply(s.ctx, registry.Changes{
			testschema.ControlTunnelView:    {"interface": "wlan0", "peers": nil},
			testschema.ControlTelemetryView: {"sample-rate": 6},
			testschema.ControlDeviceView:    {},
		})
		if err != nil {
			s.Fatalf("apply: %v", err)
		}
		s.wantGet(testschema.ControlTunnelView, obj{"interface": "wlan0"})
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 6}, "sample-rate")
		s.wantGet(testschema.ControlDeviceView, obj{"server-url": "http://127.0.0.1:8000"})
	}},
	{name: "apply/nothing", run: func(s *suite) {
		full(s)
		for _, changes := range []registry.Changes{nil, {}, {testschema.ControlTunnelView: nil}} {
			if err := s.reg.Apply(s.ctx, changes); err != nil {
				s.Errorf("apply of nothing: %v", err)
			}
		}
	}},
	{name: "apply/a violation in the first view changes nothing", run: func(s *suite) {
		full(s)
		s.stays("apply", registry.ErrInvalid, func() error {
			return s.reg.Apply(s.ctx, registry.Changes{
				testschema.ControlTelemetryView: {"sample-rate": -1}, testschema.ControlTunnelView: {"interface": "wlan0"},
			})
		})
	}},
	{name: "apply/a violation in the last view", run: func(s *suite) {
		full(s)
		act := func() error {
			return s.reg.Apply(s.ctx, registry.Changes{
				testschema.ControlTelemetryView: {"sample-rate": 6}, testschema.ControlTunnelView: {"peers": list{"nowhere"}},
			})
		}
		if s.caps.MultiView {
			s.stays("apply", registry.ErrInvalid, act)
			return
		}
		err := act()
		s.wantKind(registry.ErrInvalid, err, "apply")
		var partial *registry.PartialError
		if !errors.As(err, &partial) {
			s.Fatalf("apply = %v, which is no *registry.PartialError", err)
		}
		wrote := fmt.Sprint(partial.Written)
		if want := fmt.Sprint([]registry.ViewID{s.view(testschema.ControlTelemetryView).ID()}); wrote != want {
			s.Errorf("written = %s, want %s", wrote, want)
		}
		if want := s.view(testschema.ControlTunnelView).ID(); partial.Failed != want {
			s.Errorf("failed = %s, want %s", partial.Failed, want)
		}
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 6}, "sample-rate")
		s.wantGet(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}}, "peers")
	}},
	{name: "apply/a malformed view name changes nothing", run: func(s *suite) {
		full(s)
		s.stays("apply", registry.ErrBadRequest, func() error {
			return s.reg.Apply(s.ctx, registry.Changes{
				testschema.ControlTelemetryView: {"sample-rate": 6}, "a/b/c/d": {"x": 1},
			})
		})
	}},
}

// mixed reads and writes different views and keys at the same time.
func (s *suite) mixed() {
	s.Helper()
	times := s.times(10, 3)
	full(s)
	var group sync.WaitGroup
	for worker := range 3 {
		group.Go(func() {
			for i := range times {
				name := "eth" + strconv.Itoa(worker)
				err := s.view(testschema.ControlInterfacesView).Set(s.ctx,
					obj{"stats." + name: obj{"n-sent": i, "n-received": i}})
				if err != nil {
					s.Errorf("set stats.%s: %v", name, err)
					return
				}
			}
		})
		group.Go(func() {
			for range times {
				got, err := s.view(testschema.ObserveInterfacesView).Get(s.ctx)
				if err != nil {
					s.Errorf("get: %v", err)
					return
				}
				sent, received := got["packets-sent"].(obj), got["packets-received"].(obj)
				for name := range sent {
					if name != "wlan0" && name != "eth0" && sent[name] != received[name] {
						s.Errorf("%s is half written: sent %v, received %v", name, sent[name], received[name])
					}
				}
			}
		})
	}
	group.Go(func() {
		for i := range times {
			if err := s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{"sample-rate": i}); err != nil {
				s.Errorf("set sample-rate: %v", err)
				return
			}
		}
	})
	group.Wait()
	last := json.Number(strconv.Itoa(times - 1))
	for worker := range 3 {
		name := "stats.eth" + strconv.Itoa(worker)
		s.wantGet(testschema.ControlInterfacesView, obj{name: obj{"n-sent": last, "n-received": last}}, name)
	}
	s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": last}, "sample-rate")
}

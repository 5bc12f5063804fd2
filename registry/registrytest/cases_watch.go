package registrytest

import (
	"context"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

var watchCases = []contractCase{
	{name: "watch/own changes", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		for i := range s.times(3, 2) {
			rate := 10 + i
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": rate})
			s.wantEvent(events, testschema.ControlTelemetryView)
			s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": rate}, "sample-rate")
		}
	}},
	{name: "watch/from nothing and to nothing", run: func(s *suite) {
		events := s.watch(s.ctx, s.reg, testschema.ControlTunnelView)
		s.set(testschema.ControlTunnelView, obj{"interface": "eth0"})
		s.wantEvent(events, testschema.ControlTunnelView)
		s.unset(testschema.ControlTunnelView, "interface")
		s.wantEvent(events, testschema.ControlTunnelView)
		s.wantNoData(testschema.ControlTunnelView)
	}},
	{name: "watch/changes through other views", run: func(s *suite) {
		full(s)
		peers := s.watch(s.ctx, s.reg, testschema.ObserveTunnelView)
		interfaces := s.watch(s.ctx, s.reg, testschema.ObserveInterfacesView)
		s.set(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1"}})
		s.wantEvent(peers, testschema.ObserveTunnelView)
		s.set(testschema.ControlInterfacesView, obj{"stats.eth0": obj{"n-sent": 90, "n-received": 9}})
		s.wantEvent(interfaces, testschema.ObserveInterfacesView)
	}},
	{name: "watch/changes of another handle", twice: true, run: func(s *suite) {
		full(s)
		other := s.again()
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		if err := other.View(testschema.ControlTelemetryView).Set(s.ctx, obj{"sample-rate": 44}); err != nil {
			s.Fatalf("set through the other handle: %v", err)
		}
		s.wantEvent(events, testschema.ControlTelemetryView)
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 44}, "sample-rate")
		events = s.watch(s.ctx, other, testschema.ControlTelemetryView)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 45})
		s.wantEvent(events, testschema.ControlTelemetryView)
		s.wantGetFrom(other, testschema.ControlTelemetryView, obj{"sample-rate": 45}, "sample-rate")
	}},
	{name: "watch/events before the first receive are kept", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		for i := range s.times(10, 3) {
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": 10 + i})
		}
		s.wantEvent(events, testschema.ControlTelemetryView)
	}},
	{name: "watch/several watches of one view", run: func(s *suite) {
		full(s)
		first := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		second := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 10})
		s.wantEvent(first, testschema.ControlTelemetryView)
		s.wantEvent(second, testschema.ControlTelemetryView)
	}},
	{name: "watch/no event when nothing changed", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 2})                              // as it was
		s.unset(testschema.ControlTelemetryView, "monitor-packets-received")                       // was not there
		s.set(testschema.ControlInterfacesView, obj{"config.eth9": obj{"ip-address": "10.0.0.1"}}) // elsewhere
		s.quiet(events)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 3})
		s.wantEvent(events, testschema.ControlTelemetryView)
	}},
	{name: "watch/no event of a change that the view does not show", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ObserveTunnelView)
		s.set(testschema.ControlTunnelView, obj{"secret-key": "another"})
		s.quiet(events)
		s.set(testschema.ControlTunnelView, obj{"peers": list{"10.0.0.2"}})
		s.wantEvent(events, testschema.ObserveTunnelView)
	}},
	{name: "watch/no event when refused", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		view := s.view(testschema.ControlTelemetryView)
		s.wantKind(registry.ErrInvalid, view.Set(s.ctx, obj{"sample-rate": -1, "monitor-peers": true}), "set")
		s.wantKind(registry.ErrNoMatch, view.Set(s.ctx, obj{"nonsense": 1, "monitor-peers": true}), "set")
		s.quiet(events)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 3})
		s.wantEvent(events, testschema.ControlTelemetryView)
	}},
	{name: "watch/ends with its context", run: func(s *suite) {
		full(s)
		ctx, cancel := context.WithCancel(s.ctx)
		events := s.watch(ctx, s.reg, testschema.ControlTelemetryView)
		other := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		cancel()
		s.wantClosed(events)
		s.set(testschema.ControlTelemetryView, obj{"sample-rate": 3})
		s.wantEvent(other, testschema.ControlTelemetryView)
	}},
	{name: "watch/ends with its context while nobody receives", run: func(s *suite) {
		full(s)
		ctx, cancel := context.WithCancel(s.ctx)
		events := s.watch(ctx, s.reg, testschema.ControlTelemetryView)
		for i := range s.times(5, 2) {
			s.set(testschema.ControlTelemetryView, obj{"sample-rate": 10 + i})
		}
		cancel()
		s.wantClosed(events)
	}},
	{name: "watch/ends when the registry is closed", run: func(s *suite) {
		full(s)
		events := s.watch(s.ctx, s.reg, testschema.ControlTelemetryView)
		if err := s.reg.Close(); err != nil {
			s.Fatalf("close: %v", err)
		}
		s.wantClosed(events)
	}},
}

func (s *suite) watch(ctx context.Context, reg *registry.Registry, view string) <-chan registry.Event {
	s.Helper()
	events, err := reg.View(view).Watch(ctx)
	if err != nil {
		s.Fatalf("watch %s: %v", view, err)
	}
	return events
}

// wantEvent waits for the next event.
func (s *suite) wantEvent(events <-chan registry.Event, view string) {
	s.Helper()
	select {
	case event, ok := <-events:
		switch {
		case !ok:
			s.Fatalf("the watch of %s ended", view)
		case event.Err != nil:
			s.Fatalf("the watch of %s was interrupted: %v", view, event.Err)
		case event.View != s.view(view).ID():
			s.Errorf("event about %s, want %s", event.View, s.view(view).ID())
		}
	case <-s.ctx.Done():
		s.Fatalf("no event about %s before the case's time was over", view)
	}
}

// quiet checks that no event arrives. Two changes elsewhere and their events give a wrong event the time to arrive.
func (s *suite) quiet(events <-chan registry.Event) {
	s.Helper()
	barrier := s.watch(s.ctx, s.reg, testschema.ControlDeviceView)
	for _, url := range []string{"http://barrier.example/1", "http://barrier.example/2", "http://127.0.0.1:8000"} {
		s.set(testschema.ControlDeviceView, obj{"server-url": url})
		s.wantEvent(barrier, testschema.ControlDeviceView)
	}
	select {
	case event, ok := <-events:
		s.Fatalf("event %+v (open: %v), although nothing changed", event, ok)
	default:
	}
}

// wantClosed drains a watch and waits until its channel is closed.
func (s *suite) wantClosed(events <-chan registry.Event) {
	s.Helper()
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-s.ctx.Done():
			s.Fatalf("the watch did not end")
		}
	}
}

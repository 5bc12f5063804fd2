package registrytest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

var lifeCases = []contractCase{
	{name: "life/status", run: func(s *suite) {
		status, err := s.reg.Status(s.ctx)
		if err != nil {
			s.Fatalf("status: %v", err)
		}
		if !slices.Contains([]string{"snapd", "snapctl", "file", "mem"}, status.Backend) {
			s.Errorf("backend = %q, which is no scheme", status.Backend)
		}
		if status.Address == "" && status.Backend != "mem" {
			s.Errorf("a %s has no address", status.Backend)
		}
		if status.Generation == "" {
			s.Errorf("the status has no generation")
		}
		if !status.Capabilities.WatchPushed && status.Capabilities.WatchEvery <= 0 {
			s.Errorf("a watch has neither announcements nor an interval: %+v", status.Capabilities)
		}
	}},
	{name: "life/views are listed, or it is said that they cannot be", run: func(s *suite) {
		views, err := s.reg.Views(s.ctx)
		if errors.Is(err, registry.ErrUnsupported) {
			return
		}
		if err != nil {
			s.Fatalf("views: %v", err)
		}
		if !slices.IsSortedFunc(views, func(a, b registry.ViewInfo) int { return strings.Compare(a.ID.String(), b.ID.String()) }) {
			s.Errorf("the views are not sorted: %v", views)
		}
		for _, name := range []string{testschema.ControlTelemetryView, testschema.ObserveTunnelView} {
			id := s.view(name).ID()
			i := slices.IndexFunc(views, func(v registry.ViewInfo) bool { return v.ID == id })
			if i < 0 {
				s.Errorf("%s is not among the views %v", id, views)
			} else if views[i].Summary == "" {
				s.Errorf("%s has lost its summary", id)
			}
		}
	}},
	{name: "life/data are seen by another handle", twice: true, run: func(s *suite) {
		full(s)
		other := s.again()
		s.wantGetFrom(other, testschema.ControlTelemetryView,
			obj{"sample-rate": 2, "monitor-packets-sent": true, "monitor-peers": false})
		if err := other.View(testschema.ControlTelemetryView).Set(s.ctx, obj{"sample-rate": 8}); err != nil {
			s.Fatalf("set through the other handle: %v", err)
		}
		s.wantGet(testschema.ControlTelemetryView, obj{"sample-rate": 8}, "sample-rate")
	}},
	{name: "life/data outlive the handle", twice: true, run: func(s *suite) {
		full(s)
		other := s.again()
		if err := s.reg.Close(); err != nil {
			s.Fatalf("close: %v", err)
		}
		s.wantGetFrom(other, testschema.ControlTunnelView,
			obj{"interface": "eth0", "peers": list{"10.0.0.9", "10.0.0.1", "10.0.0.5"}})
	}},
	{name: "life/use after close fails", run: func(s *suite) {
		full(s)
		if err := s.reg.Close(); err != nil {
			s.Fatalf("close: %v", err)
		}
		view := s.view(testschema.ControlTelemetryView)
		for name, call := range map[string]func() error{
			"get": func() error { _, err := view.Get(s.ctx); return err },
			"set": func() error { return view.Set(s.ctx, obj{"sample-rate": 3}) },
			"update": func() error {
				return view.Update(s.ctx, nil, func(obj) (obj, error) { return obj{"sample-rate": 3}, nil })
			},
			"apply": func() error {
				return s.reg.Apply(s.ctx, registry.Changes{testschema.ControlTelemetryView: {"sample-rate": 3}})
			},
			"watch":  func() error { _, err := view.Watch(s.ctx); return err },
			"status": func() error { _, err := s.reg.Status(s.ctx); return err },
		} {
			if err := call(); !errors.Is(err, fs.ErrClosed) || registry.IsNotReady(err) {
				s.Errorf("%s after close: %v, want %v", name, err, fs.ErrClosed)
			}
		}
		_ = s.reg.Close() // must not panic
	}},
	{name: "life/concurrent use", run: func(s *suite) { s.mixed() }},
	{name: "life/close while in use", run: func(s *suite) {
		full(s)
		done := make(chan struct{})
		started := make(chan struct{}, 1)
		go func() {
			defer close(done)
			for {
				_, err := s.view(testschema.ControlTelemetryView).Get(s.ctx)
				if err != nil {
					if !errors.Is(err, fs.ErrClosed) {
						s.Errorf("get while the registry was closed: %v, want %v", err, fs.ErrClosed)
					}
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		}()
		select {
		case <-started:
		case <-done:
			s.Fatalf("get failed before close")
		}
		if err := s.reg.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
		<-done
	}},
}

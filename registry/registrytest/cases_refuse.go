package registrytest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

func isNoData(err error) bool { return errors.Is(err, registry.ErrNoData) }

// violation is a value that the storage schema refuses.
type violation struct {
	name, view   string
	values       obj
	path, reason string // "" is not checked: the engine's own tests check the wording of alternatives and patterns
}

var violations = []violation{
	{"below the minimum", testschema.ControlTelemetryView, obj{"sample-rate": -5},
		"metrics.sample-rate", "-5 is less than the allowed minimum 0"},
	{"another type", testschema.ControlTelemetryView, obj{"monitor-peers": "yes"},
		"metrics.collect.peers", "expected bool type but value was string"},
	{"not one of the choices", testschema.ControlInterfacesView,
		obj{"config.eth0": obj{"interface-type": "carrier-pigeon", "ip-address": "10.0.0.1"}},
		"interfaces.eth0.config.interface-type", `string "carrier-pigeon" is not one of the allowed choices`},
	{"another pattern", testschema.ControlInterfacesView, obj{"config.eth0": obj{"ip-address": "fast lane"}},
		"interfaces.eth0.config.ip-address", ""},
	{"a list element", testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1", "here"}}, "tunnel.peers[1]", ""},
	{"duplicates", testschema.ControlTunnelView, obj{"peers": list{"10.0.0.1", "10.0.0.2", "10.0.0.1"}},
		"tunnel.peers", `cannot accept duplicate values for array with "unique" constraint`},
	{"no alternative fits", testschema.ControlDeviceView, obj{"registered": true}, "device.registered", ""},
	{"a fraction for an integer", testschema.ControlTelemetryView, obj{"sample-rate": 2.5},
		"metrics.sample-rate", "expected int type but value was number 2.5"},
}

var refusalCases = append(violationCases(), []contractCase{
	{name: "refuse/a violation among several values", run: func(s *suite) {
		full(s)
		s.stays("set two good values and a bad one", registry.ErrInvalid, func() error {
			return s.view(testschema.ControlTelemetryView).Set(s.ctx,
				obj{"monitor-peers": true, "monitor-packets-received": true, "sample-rate": -1})
		})
	}},
	{name: "refuse/a scalar where the request spans entries", run: func(s *suite) {
		full(s)
		s.stays("set a scalar for all interfaces", registry.ErrBadRequest, func() error {
			return s.view(testschema.ControlInterfacesView).Set(s.ctx,
				obj{"config": obj{"eth0": obj{"ip-address": "10.0.0.1", "interface-type": "wifi"}}, "stats": "none"})
		})
	}},
	{name: "refuse/reading what can be written only", run: func(s *suite) {
		full(s)
		for view, request := range map[string]string{
			testschema.ControlTunnelView: "secret-key", testschema.ControlDeviceView: "id",
		} {
			_, err := s.view(view).Get(s.ctx, request)
			s.wantKind(registry.ErrNoMatch, err, "get %q through %s", request, view)
		}
	}},
	{name: "refuse/writing what can be read only", run: func(s *suite) {
		full(s)
		s.stays("set through observe-device", registry.ErrNoMatch, func() error {
			return s.view(testschema.ObserveDeviceView).Set(s.ctx, obj{"uuid": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0"})
		})
		s.stays("unset through observe-tunnel", registry.ErrNoMatch, func() error {
			return s.view(testschema.ObserveTunnelView).Unset(s.ctx, "peers")
		})
	}},
	{name: "refuse/nothing to set", run: func(s *suite) {
		full(s)
		var err error
		s.stays("set nothing", registry.ErrBadRequest, func() error {
			err = s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{})
			return err
		})
		if refusal := (*registry.Error)(nil); errors.As(err, &refusal) && refusal.Op != "set" {
			s.Errorf("set nothing: the error is one of %q: %v", refusal.Op, err)
		}
	}},
	{name: "refuse/requests without a rule", run: func(s *suite) {
		full(s)
		for _, request := range []string{"nonsense", "sample-rate.deeper", "config"} {
			_, err := s.view(testschema.ControlTelemetryView).Get(s.ctx, request)
			s.wantKind(registry.ErrNoMatch, err, "get %q", request)
			s.stays("set "+request, registry.ErrNoMatch, func() error {
				return s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{request: true})
			})
			s.stays("unset "+request, registry.ErrNoMatch, func() error {
				return s.view(testschema.ControlTelemetryView).Unset(s.ctx, request)
			})
		}
		_, err := s.view(testschema.ControlInterfacesView).Get(s.ctx, "stats.eth0.n-sent")
		s.wantKind(registry.ErrNoMatch, err, "get a part that has no rule of its own")
		_, err = s.view(testschema.ControlTunnelView).Get(s.ctx, "peers[0]")
		s.wantKind(registry.ErrNoMatch, err, "get an element of a list without a rule for elements")
	}},
	{name: "refuse/one request without a rule among several", run: func(s *suite) {
		full(s)
		_, err := s.view(testschema.ControlTelemetryView).Get(s.ctx, "sample-rate", "nonsense")
		s.wantKind(registry.ErrNoMatch, err, "get a request that matches and one that does not")
		s.stays("set a request that matches and one that does not", registry.ErrNoMatch, func() error {
			return s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{"sample-rate": 9, "nonsense": 1})
		})
	}},
	{name: "refuse/malformed request paths", run: func(s *suite) {
		full(s)
		for _, request := range few(s, 3, "Sample", "a..b", "peers[x]", "sample_rate", ".a", "a.", "a b", "{name}", "é") {
			_, err := s.view(testschema.ControlTelemetryView).Get(s.ctx, request)
			s.wantKind(registry.ErrBadRequest, err, "get %q", request)
			s.stays("set "+request, registry.ErrBadRequest, func() error {
				return s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{request: 1})
			})
		}
	}},
	{name: "refuse/an unknown view", run: func(s *suite) {
		_, err := s.view(UnknownView).Get(s.ctx)
		s.wantKind(registry.ErrNoView, err, "get")
		err = s.view(UnknownView).Set(s.ctx, obj{"a": 1})
		s.wantKind(registry.ErrNoView, err, "set")
	}},
	{name: "refuse/an unknown confdb-schema", run: func(s *suite) {
		view := s.view(fullName(UnknownSchema, UnknownView))
		_, err := view.Get(s.ctx)
		s.wantKind(registry.ErrNoSchema, err, "get")
		err = view.Set(s.ctx, obj{"a": 1})
		s.wantKind(registry.ErrNoSchema, err, "set")
	}},
	{name: "refuse/a malformed view name", run: func(s *suite) {
		for _, name := range []string{"", "/", "a/b/c/d", "network/", "Bad/View", "network/Control", "a b", "-v", "v-", "é",
			"network/../v", "ac count/network/v", "v?x=1", "v\n"} {
			view := s.reg.View(name)
			_, err := view.Get(s.ctx)
			s.wantKind(registry.ErrBadRequest, err, "get through %q", name)
			s.wantKind(registry.ErrBadRequest, view.Set(s.ctx, obj{"a": 1}), "set through %q", name)
			_, err = view.Watch(s.ctx)
			s.wantKind(registry.ErrBadRequest, err, "watch %q", name)
			err = view.Update(s.ctx, nil, func(obj) (obj, error) { return obj{"a": 1}, nil })
			s.wantKind(registry.ErrBadRequest, err, "update through %q", name)
			err = s.reg.Apply(s.ctx, registry.Changes{name: {"a": 1}})
			s.wantKind(registry.ErrBadRequest, err, "apply through %q", name)
		}
	}},
	{name: "refuse/nothing to write", run: func(s *suite) {
		full(s)
		s.stays("set an empty map", registry.ErrBadRequest, func() error {
			return s.view(testschema.ControlTelemetryView).Set(s.ctx, obj{})
		})
		s.stays("unset nothing", registry.ErrBadRequest, func() error {
			return s.view(testschema.ControlTelemetryView).Unset(s.ctx)
		})
	}},
	{name: "refuse/what is no map of values", run: func(s *suite) {
		for _, values := range []any{5, "text", list{1}, func() {}} {
			s.stays("set", registry.ErrBadRequest, func() error {
				return s.view(testschema.ControlTelemetryView).Set(s.ctx, values)
			})
		}
	}},
	{name: "refuse/errors name the view and the request", run: func(s *suite) {
		_, err := s.view(testschema.ControlTelemetryView).Get(s.ctx, "monitor-peers")
		var refusal *registry.Error
		if !errors.As(err, &refusal) {
			s.Fatalf("get: error %v is no *registry.Error", err)
		}
		if refusal.Op != "get" || refusal.View != s.view(testschema.ControlTelemetryView).ID() {
			s.Errorf("error is about %q of %s", refusal.Op, refusal.View)
		}
		if len(refusal.Requests) != 1 || refusal.Requests[0] != "monitor-peers" {
			s.Errorf("error is about requests %q", refusal.Requests)
		}
	}},
	{name: "refuse/cancelled contexts", run: func(s *suite) {
		full(s)
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		s.refusesContext(ctx, context.Canceled)
	}},
	{name: "refuse/expired contexts", run: func(s *suite) {
		full(s)
		ctx, cancel := context.WithDeadline(s.ctx, time.Unix(1, 0))
		defer cancel()
		s.refusesContext(ctx, context.DeadlineExceeded)
	}},
	{name: "refuse/contexts that end during calls", run: func(s *suite) {
		full(s)
		s.endDuringCalls()
	}},
}...)

// refusesContext checks that no call reads or writes anything with a context that has ended, and that all return the
// same kind of error.
func (s *suite) refusesContext(ctx context.Context, want error) {
	s.Helper()
	before := s.everything()
	view := s.view(testschema.ControlTelemetryView)
	calls := map[string]func() error{
		"get":   func() error { _, err := view.Get(ctx); return err },
		"read":  func() error { return view.Read(ctx, &testschema.ControlTelemetry{}, "sample-rate") },
		"set":   func() error { return view.Set(ctx, obj{"sample-rate": 50}) },
		"unset": func() error { return view.Unset(ctx, "sample-rate") },
		"update": func() error {
			return view.Update(ctx, nil, func(obj) (obj, error) { return obj{"sample-rate": 51}, nil })
		},
		"apply": func() error {
			return s.reg.Apply(ctx, registry.Changes{
				testschema.ControlTelemetryView: {"sample-rate": 52}, testschema.ControlTunnelView: {"interface": "x"},
			})
		},
		"watch":  func() error { _, err := view.Watch(ctx); return err },
		"status": func() error { _, err := s.reg.Status(ctx); return err },
	}
	if _, err := s.reg.Views(s.ctx); !errors.Is(err, registry.ErrUnsupported) {
		calls["views"] = func() error { _, err := s.reg.Views(ctx); return err }
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		s.wantInterrupted(name, calls[name](), want)
	}
	after := s.everything()
	for name, document := range before {
		s.same("after calls with an ended context "+name, document, after[name])
	}
}

// wantInterrupted checks the error for a context that has ended. It must not be IsNotReady.
func (s *suite) wantInterrupted(what string, err, want error) {
	s.Helper()
	s.wantKind(registry.ErrInterrupted, err, "%s with an ended context", what)
	if !errors.Is(err, want) {
		s.Errorf("%s = %v, want %v", what, err, want)
	}
	if registry.IsNotReady(err) {
		s.Errorf("%s = %v, which passes for a registry that is not ready", what, err)
	}
}

// endings returns contexts that end in different ways at different moments.
func endings(ctx context.Context, n int) (context.Context, context.CancelFunc, error) {
	after := time.Duration(n) * 100 * time.Microsecond
	if n%2 == 0 {
		ctx, cancel := context.WithTimeout(ctx, after)
		return ctx, cancel, context.DeadlineExceeded
	}
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(after, cancel)
	return ctx, cancel, context.Canceled
}

// endDuringCalls ends contexts during calls. A read must be done or interrupted; a write may also be ErrUnknown.
func (s *suite) endDuringCalls() {
	view := s.view(testschema.ControlTelemetryView)
	for n := range s.times(40, 6) {
		ctx, cancel, want := endings(s.ctx, n)
		if _, err := view.Get(ctx); err != nil {
			s.wantInterrupted("get", err, want)
		}
		cancel()
		ctx, cancel, want = endings(s.ctx, n)
		err := view.Set(ctx, obj{"sample-rate": 10 + n})
		if err != nil && !errors.Is(err, registry.ErrUnknown) {
			s.wantInterrupted("set", err, want)
		}
		cancel()
	}
}

func violationCases() []contractCase {
	var cases []contractCase
	for _, v := range violations {
		cases = append(cases, contractCase{name: "refuse/violation: " + v.name, run: func(s *suite) {
			full(s)
			var err error
			s.stays("set", registry.ErrInvalid, func() error {
				err = s.view(v.view).Set(s.ctx, v.values)
				return err
			})
			wantViolation(s, v, err)
		}})
	}
	return cases
}

func wantViolation(tb testing.TB, v violation, err error) {
	tb.Helper()
	var refusal *registry.Error
	if !errors.As(err, &refusal) {
		tb.Fatalf("error %v is no *registry.Error", err)
	}
	if refusal.Path != v.path {
		tb.Errorf("path = %q, want %q (of %v)", refusal.Path, v.path, err)
	}
	if refusal.Reason == "" || v.reason != "" && refusal.Reason != v.reason {
		tb.Errorf("reason = %q, want %q (of %v)", refusal.Reason, v.reason, err)
	}
}

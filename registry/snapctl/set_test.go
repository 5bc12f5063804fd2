package snapctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/machine/faults"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
)

type obj = map[string]any

func view(name string) backend.ViewID {
	return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: name}
}

var (
	telemetry  = view(testschema.ControlTelemetryView)
	tunnel     = view(testschema.ControlTunnelView)
	interfaces = view(testschema.ControlInterfacesView)
)

func start(t *testing.T, version string) (*machine.Machine, *snapctl.Backend) {
	t.Helper()
	m := machine.Start(t, machine.Options{Version: version, Plugs: unknown})
	return m, open(t, options(m))
}

// occupy starts a write by the administrator, for which all others wait until release.
func occupy(m *machine.Machine) (release func()) {
	return m.Occupy(testschema.ControlTunnelView, obj{"interface": "eth0"})
}

// commands returns the command lines that m received, without those of detect and version.
func commands(m *machine.Machine) []string {
	var lines []string
	for _, call := range m.Calls() {
		line := strings.Join(call.Args, " ")
		if line != "get --help" && line != "version" {
			lines = append(lines, line)
		}
	}
	return lines
}

// inHook gives the snap a hook that acts through a Backend with the hook's cookie.
func inHook(t *testing.T, m *machine.Machine, name string, act func(b *snapctl.Backend) error) {
	t.Helper()
	m.Handle(name, func(call machine.HookCall) error {
		o := options(m)
		o.Cookie, o.Hook = call.Cookie, call.Name
		b, err := snapctl.Open(context.Background(), o)
		if err != nil {
			return err
		}
		defer func() { _ = b.Close() }()
		return act(b)
	})
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	_ = wantRefusal(t, err, kind)
}

// wantRefusal checks the kind of an error, and returns the error.
func wantRefusal(t *testing.T, err, kind error) *backend.Error {
	t.Helper()
	var refusal *backend.Error
	if !errors.Is(err, kind) || !errors.As(err, &refusal) {
		t.Fatalf("error %v, want one of kind %q", err, kind)
	}
	return refusal
}

func TestSetIsOneCommand(t *testing.T) {
	m, b := start(t, "2.75")
	values := obj{"sample-rate": json.Number("4"), "monitor-peers": nil, "monitor-packets-sent": true}
	if err := b.Set(t.Context(), telemetry, values); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"get -d --view :control-telemetry monitor-packets-sent monitor-peers sample-rate",
		"set -t --view :control-telemetry monitor-packets-sent=true monitor-peers! sample-rate=4",
		"get -d --view :control-telemetry monitor-packets-sent monitor-peers sample-rate",
	}
	if diff := cmp.Diff(want, commands(m)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// TestSetThatWasNotStored has all ways in which snapd reports success for a write that it did not store.
func TestSetThatWasNotStored(t *testing.T) {
	full := `{"metrics":{"sample-rate":2,"collect":{"peers":true}},"tunnel":{"peers":["10.0.0.1","10.0.0.2"]},` +
		`"interfaces":{"eth0":{"config":{"interface-type":"wifi","ip-address":"10.0.0.3"}},"wlan0":{"stats":{"n-sent":1}}}}`
	writes := []struct {
		name   string
		view   backend.ViewID
		values obj
		kind   error // nil: cannot be seen, see the package's documentation
	}{
		{"a changed value", telemetry, obj{"sample-rate": json.Number("13")}, backend.ErrRejected},
		{"a new value", telemetry, obj{"monitor-packets-sent": false}, backend.ErrRejected},
		{"an unset", telemetry, obj{"monitor-peers": nil}, backend.ErrRejected},
		{"one change among what is there", telemetry,
			obj{"monitor-peers": true, "sample-rate": json.Number("13")}, backend.ErrRejected},
		{"a list", tunnel, obj{"peers": []any{"10.0.0.1"}}, backend.ErrRejected},
		{"an empty list", tunnel, obj{"peers": []any{}}, backend.ErrRejected},
		{"a nested value", interfaces, obj{"config.eth0.ip-address": "10.0.0.4"}, backend.ErrRejected},
		{"a new entry", interfaces, obj{"stats": obj{"eth0": obj{"n-sent": json.Number("1")}}}, backend.ErrRejected},
		{"a null that drops a member", interfaces,
			obj{"config.eth0": obj{"ip-address": "10.0.0.3", "interface-type": nil}}, backend.ErrRejected},
		{"a value beside one that cannot be read", tunnel,
			obj{"interface": "eth0", "secret-key": "s"}, backend.ErrRejected},
		{"what is there already", telemetry, obj{"sample-rate": json.Number("2.0")}, nil},
		{"an unset of what is not there", telemetry, obj{"monitor-packets-sent": nil}, nil},
		{"what cannot be read", tunnel, obj{"secret-key": "s"}, nil},
		{"a map without a member", interfaces, obj{"config.eth0": obj{"ip-address": "10.0.0.3"}}, nil},
	}
	hooks := []struct {
		name     string
		sabotage func(m *machine.Machine, plug string)
	}{
		{"refused", func(m *machine.Machine, plug string) {
			inHook(t, m, "change-view-"+plug, func(b *snapctl.Backend) error {
				return b.Fail(t.Context(), "not on my watch")
			})
		}},
		{"hook failed", func(m *machine.Machine, plug string) {
			m.Handle("save-view-"+plug, func(machine.HookCall) error { return errors.New("exit status 3") })
		}},
		{"commit failed", func(m *machine.Machine, _ string) { m.FailCommits(true) }},
	}
	for _, hook := range hooks {
		for _, write := range writes {
			t.Run(hook.name+": "+write.name, func(t *testing.T) {
				m, b := start(t, "2.77.1")
				m.Load(full)
				before := m.Stored()
				hook.sabotage(m, write.view.View)
				err := b.Set(t.Context(), write.view, write.values)
				if m.Stored() != before {
					t.Fatalf("the machine stored %s", m.Stored())
				}
				if write.kind == nil {
					if err != nil {
						t.Errorf("set = %v", err)
					}
					return
				}
				refusal := wantRefusal(t, err, write.kind)
				want := "snapd took the write but the values were not stored: a custodian refused it or the commit failed"
				if refusal.Reason != want || !strings.Contains(refusal.Remedy, "snap changes") {
					t.Errorf("reason %q, remedy %q", refusal.Reason, refusal.Remedy)
				}
			})
		}
	}
}

func TestSetThatACustodianAlters(t *testing.T) {
	m, b := start(t, "2.77.1")
	m.Load(`{"metrics":{"sample-rate":2}}`)
	inHook(t, m, "change-view-control-telemetry", func(b *snapctl.Backend) error {
		return b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("60")})
	})
	if err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("61")}); err != nil {
		t.Errorf("set = %v; the custodian may alter it", err)
	}
	if want := `{"metrics":{"sample-rate":60}}`; m.Stored() != want {
		t.Errorf("stored %s, want %s", m.Stored(), want)
	}
}

func TestJudge(t *testing.T) {
	n := func(text string) json.Number { return json.Number(text) }
	tests := []struct {
		name                   string
		written, before, after obj
		want                   string
	}{
		{"as written", obj{"a": n("1")}, obj{}, obj{"a": n("1")}, "stored"},
		{"another form of the number", obj{"a": n("1")}, obj{}, obj{"a": n("1.0")}, "stored"},
		{"nothing new", obj{"a": n("1")}, obj{"a": n("1")}, obj{"a": n("1")}, "stored"},
		{"still as before", obj{"a": n("1")}, obj{"a": n("0")}, obj{"a": n("0")}, "as before"},
		{"still missing", obj{"a": n("1")}, obj{}, obj{}, "as before"},
		{"still there", obj{"a": nil}, obj{"a": true}, obj{"a": true}, "as before"},
		{"gone as asked", obj{"a": nil}, obj{"a": true}, obj{}, "stored"},
		{"a third value", obj{"a": n("1")}, obj{"a": n("0")}, obj{"a": n("7")}, "altered"},
		{"removed by a custodian", obj{"a": n("1")}, obj{"a": n("0")}, obj{}, "altered"},
		{"one as written, one as before", obj{"a": n("1"), "b": true}, obj{"a": n("0")}, obj{"a": n("1")}, "stored"},
		{"one unchanged, one as before", obj{"a": n("1"), "b": true}, obj{"a": n("1")}, obj{"a": n("1")}, "as before"},
		{"merged into a map", obj{"m": obj{"x": n("1")}}, obj{"m": obj{"y": n("2")}},
			obj{"m": obj{"x": n("1"), "y": n("2")}}, "stored"},
		{"not merged", obj{"m": obj{"x": n("1")}}, obj{"m": obj{"y": n("2")}}, obj{"m": obj{"y": n("2")}}, "as before"},
		{"a list that is longer", obj{"l": []any{"a"}}, obj{"l": []any{"a", "b"}}, obj{"l": []any{"a", "b"}}, "as before"},
		{"order of a list", obj{"l": []any{"b", "a"}}, obj{"l": []any{"a", "b"}}, obj{"l": []any{"a", "b"}}, "as before"},
		{"maps in a list", obj{"l": []any{obj{"x": nil, "y": true}}}, obj{}, obj{"l": []any{obj{"y": true}}}, "stored"},
		{"null in a map", obj{"m": obj{"x": nil}}, obj{"m": obj{"x": true}}, obj{}, "stored"},
		{"cannot be read", obj{"a": n("1")}, obj{"a": snapctl.Hidden}, obj{"a": snapctl.Hidden}, "stored"},
		{"before unknown, as written", obj{"a": n("1")}, nil, obj{"a": n("1")}, "stored"},
		{"before unknown, another value", obj{"a": n("1")}, nil, obj{"a": n("2")}, "differs"},
		{"another type", obj{"a": "1"}, obj{"a": n("1")}, obj{"a": n("1")}, "as before"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := snapctl.Judge(test.written, test.before, test.after); got != test.want {
				t.Errorf("judged %q, want %q", got, test.want)
			}
		})
	}
}

func TestSetThatTakesTooLong(t *testing.T) {
	t.Run("and is carried out", func(t *testing.T) {
		m := machine.Start(t, machine.Options{WriteLimit: 20 * time.Millisecond})
		b := open(t, options(m))
		release := m.Hold()
		done := make(chan error, 1)
		go func() { done <- b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("3")}) }()
		waitFor(t, func() bool { return len(commands(m)) == 3 }) // it reads back, behind the change
		release()
		if err := <-done; err != nil {
			t.Errorf("set = %v, though the value is stored: %s", err, m.Stored())
		}
	})
	t.Run("and is not over when the time is", func(t *testing.T) {
		m := machine.Start(t, machine.Options{WriteLimit: 20 * time.Millisecond})
		o := options(m)
		o.AccessTimeout = 20 * time.Millisecond
		b := open(t, o)
		release := m.Hold()
		err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("3")})
		refusal := wantRefusal(t, err, backend.ErrUnknown)
		if !strings.Contains(refusal.Remedy, "read back") {
			t.Errorf("remedy %q", refusal.Remedy)
		}
		release()
		waitFor(t, func() bool { return m.Stored() == `{"metrics":{"sample-rate":3}}` }) // it goes on
	})
}

// waitFor waits until ready returns true.
func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !ready() {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the test's time is over")
		}
	}
}

func TestSetWhoseAnswerIsLost(t *testing.T) {
	for _, carriedOut := range []bool{true, false} {
		m, b := start(t, "2.77.1")
		m.Load(`{"metrics":{"sample-rate":1}}`)
		lose := faults.Lose(-1, "POST /v2/snapctl", carriedOut)
		m.Snaps.Intercept(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
			calls := m.Calls()
			return calls[len(calls)-1].Args[0] == "set" && lose(w, r, serve)
		})
		err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("3")})
		if carriedOut && err != nil {
			t.Errorf("set = %v, though the value is stored: %s", err, m.Stored())
		}
		if !carriedOut {
			wantKind(t, err, backend.ErrUnknown)
		}
	}
}

func TestRequestsThatWouldMeanAnother(t *testing.T) {
	m, b := start(t, "2.77.1")
	m.Load(`{"metrics":{"sample-rate":2}}`)
	for _, path := range []string{"sample-rate=9", "sample-rate!", "", "=", "!"} {
		wantKind(t, b.Set(t.Context(), telemetry, obj{path: json.Number("1")}), backend.ErrBadRequest)
		wantKind(t, b.Set(t.Context(), telemetry, obj{path: nil}), backend.ErrBadRequest)
	}
	for _, path := range []string{"--view", "-t", "--", "-"} {
		wantKind(t, b.Set(t.Context(), telemetry, obj{path: json.Number("1")}), backend.ErrBadRequest)
		_, err := b.Get(t.Context(), telemetry, []string{path}, backend.GetOptions{})
		wantKind(t, err, backend.ErrBadRequest)
	}
	if want := `{"metrics":{"sample-rate":2}}`; m.Stored() != want {
		t.Errorf("stored %s, want %s", m.Stored(), want)
	}
	for _, line := range commands(m) {
		if strings.HasPrefix(line, "set -t --view") && strings.Contains(line, "=9") {
			t.Errorf("sent %s", line)
		}
	}
}

func TestNumbersThatLoseDigits(t *testing.T) {
	m, b := start(t, "2.77.1")
	for _, value := range []any{
		json.Number("9007199254740993"), []any{json.Number("1e400")}, obj{"x": json.Number("12345678901234567890")},
	} {
		wantKind(t, b.Set(t.Context(), telemetry, obj{"sample-rate": value}), backend.ErrBadRequest)
	}
	if got := commands(m); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
}

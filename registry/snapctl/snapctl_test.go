package snapctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
)

func TestOpenOutsideOfASnap(t *testing.T) {
	_, err := snapctl.Open(t.Context(), snapctl.Options{})
	refusal := wantRefusal(t, err, backend.ErrUnauthorized)
	if !strings.Contains(refusal.Error(), "SNAP_COOKIE") {
		t.Errorf("error %q does not say what is missing", refusal)
	}
}

func TestOpenRefusesOddPlugs(t *testing.T) {
	for _, plug := range []string{"", ":", "--view", "a b", "Plug", "a:b"} {
		o := snapctl.Options{Cookie: "c", Plugs: map[backend.ViewID]string{telemetry: plug}}
		_, err := snapctl.Open(t.Context(), o)
		wantKind(t, err, backend.ErrBadRequest)
	}
}

// An invalid view name must not reach the command line, where it would have another meaning.
func TestViewsThatAreNoNames(t *testing.T) {
	m, b := start(t, "2.77.1")
	for _, name := range []string{"", "--help", "a b", "Control", "a:b"} {
		_, err := b.Get(t.Context(), view(name), nil, backend.GetOptions{})
		wantKind(t, err, backend.ErrBadRequest)
		wantKind(t, b.Set(t.Context(), view(name), obj{"a": true}), backend.ErrBadRequest)
		_, err = b.Watch(t.Context(), view(name))
		wantKind(t, err, backend.ErrBadRequest)
	}
	if got := m.Calls(); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		given  func(m *machine.Machine)
		kind   error
		remedy string
		set    bool // refused for a set, but not for a get
	}{
		{"plug not connected", func(m *machine.Machine) { m.Disconnect("control-telemetry") },
			backend.ErrNotConnected, "snap connect cust:control-telemetry", false},
		{"no custodian", func(m *machine.Machine) { m.SetCustodian("control-telemetry", false) },
			backend.ErrNoCustodian, "snap connect CUSTODIAN-SNAP:PLUG, whose plug has role custodian and view network/control-telemetry", false},
		{"flag off", func(m *machine.Machine) { m.SetEnabled(false) },
			backend.ErrDisabled, "snap set system experimental.confdb=true", false},
		{"not root", func(m *machine.Machine) { m.SetRoot(false) }, backend.ErrUnauthorized, "run it as root", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, b := start(t, "2.77.1")
			m.Load(`{"metrics":{"sample-rate":2}}`)
			test.given(m)
			if !test.set {
				_, err := b.Get(t.Context(), telemetry, []string{"sample-rate"}, backend.GetOptions{})
				if refusal := wantRefusal(t, err, test.kind); refusal.Remedy != test.remedy {
					t.Errorf("get: remedy %q, want %q", refusal.Remedy, test.remedy)
				}
			}
			err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("3")})
			refusal := wantRefusal(t, err, test.kind)
			if refusal.Remedy != test.remedy || refusal.Op != "set" {
				t.Errorf("%s: remedy %q, want %q", refusal.Op, refusal.Remedy, test.remedy)
			}
			if want := `{"metrics":{"sample-rate":2}}`; m.Stored() != want {
				t.Errorf("stored %s, want %s", m.Stored(), want)
			}
		})
	}
	t.Run("stale cookie", func(t *testing.T) {
		o := options(machine.Start(t, machine.Options{}))
		o.Cookie = "of-a-hook-that-is-over"
		_, err := open(t, o).Get(t.Context(), telemetry, nil, backend.GetOptions{})
		wantKind(t, err, backend.ErrUnauthorized)
	})
	t.Run("no socket", func(t *testing.T) {
		b := open(t, snapctl.Options{Socket: filepath.Join(t.TempDir(), "none"), Cookie: "c"})
		_, err := b.Get(t.Context(), telemetry, nil, backend.GetOptions{})
		wantKind(t, err, backend.ErrUnreachable)
		refusal := wantRefusal(t, b.Set(t.Context(), telemetry, obj{"sample-rate": nil}), backend.ErrUnreachable)
		if refusal.Op != "unset" {
			t.Errorf("error is about %q", refusal.Op)
		}
		_, err = b.Status(t.Context())
		wantKind(t, err, backend.ErrUnreachable)
	})
}

func TestUnconnectedPlugOfAnOldSnapd(t *testing.T) {
	m := machine.Start(t, machine.Options{Version: "2.68.3-3+deb13u1+b7", Plugs: map[string]facts.Plug{
		"answers": {Interface: "confdb", Account: testschema.AccountID, View: "network/control-telemetry", Role: facts.Custodian},
	}})
	b := open(t, options(m))
	m.Disconnect("control-telemetry")
	if err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("3")}); err != nil {
		t.Errorf("set = %v; before 2.72 a plug need not be connected", err)
	}
	if connected, err := b.IsConnected(t.Context(), "control-telemetry"); err != nil || connected {
		t.Errorf("connected = %v, %v", connected, err)
	}
}

func TestBusy(t *testing.T) {
	t.Run("snapd queues", func(t *testing.T) {
		m := machine.Start(t, machine.Options{Version: "2.76"})
		o := options(m)
		o.AccessTimeout = 20 * time.Millisecond
		b := open(t, o)
		t.Cleanup(occupy(m))
		_, err := b.Get(t.Context(), telemetry, nil, backend.GetOptions{})
		if refusal := wantRefusal(t, err, backend.ErrBusy); refusal.Until.IsZero() {
			t.Errorf("error %v does not say until when it waited", err)
		}
	})
	t.Run("snapd refuses at once and is asked again", func(t *testing.T) {
		m, b := start(t, "2.75")
		m.Load(`{"metrics":{"sample-rate":2}}`)
		release := occupy(m)
		done := make(chan error, 1)
		go func() {
			_, err := b.Get(t.Context(), telemetry, nil, backend.GetOptions{})
			done <- err
		}()
		waitFor(t, func() bool { return len(commands(m)) >= 2 })
		release()
		if err := <-done; err != nil {
			t.Errorf("get = %v, though the others went away", err)
		}
	})
	t.Run("a deadline ends it", func(t *testing.T) {
		m, b := start(t, "2.75")
		t.Cleanup(occupy(m))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Get(ctx, telemetry, nil, backend.GetOptions{})
		wantKind(t, err, backend.ErrInterrupted)
	})
}

func TestStatus(t *testing.T) {
	info := filepath.Join(t.TempDir(), "info")
	if err := os.WriteFile(info, []byte("SNAPD_APPARMOR_REEXEC=1\nVERSION=2.68.3-3+deb13u1+b7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		version, want, generation, warning string
	}{
		{"2.77.1-2", "2.77.1-2", "snapctl of 2.76 and later", ""},
		{"2.75.2.1", "2.75.2.1", "snapctl of 2.74", "snapd 2.75.2.1 can lose all data"},
		{"2.73", "2.73", "snapctl of 2.72", "can lose all data"},
		{"2.70", "2.68.3-3+deb13u1+b7", "snapctl of 2.69", "can lose all data"},
		{"2.68", "2.68.3-3+deb13u1+b7", "snapctl of 2.68", "can lose all data"},
		{"2.67", "2.68.3-3+deb13u1+b7", "snapctl without views", "knows no views"},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: test.version})
			o := options(m)
			o.InfoFile = info
			status, err := open(t, o).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if status.Version != test.want || status.Generation != test.generation || status.Address != m.SnapSocket() {
				t.Errorf("status %+v", status)
			}
			all := strings.Join(status.Warnings, "\n")
			if test.warning == "" && all != "" || !strings.Contains(all, test.warning) {
				t.Errorf("warnings %q, want %q", all, test.warning)
			}
		})
	}
}

// A snapd that refreshes itself under a running service may know other flags than before.
func TestSnapdIsReplaced(t *testing.T) {
	m, b := start(t, "2.77.1")
	m.Load(`{"metrics":{"sample-rate":2}}`)
	for _, version := range []string{"2.77.1", "2.75", "2.72"} {
		m.SetVersion(version)
		if _, err := b.Get(t.Context(), telemetry, []string{"sample-rate"}, backend.GetOptions{}); err != nil {
			t.Errorf("get from %s: %v", version, err)
		}
	}
	_, err := b.Get(t.Context(), interfaces, nil, backend.GetOptions{Constraints: obj{"name": "eth0"}})
	if refusal := wantRefusal(t, err, backend.ErrUnsupported); !strings.Contains(refusal.Remedy, "2.74") {
		t.Errorf("remedy %q", refusal.Remedy)
	}
}

func TestConstraintsKeepTheirType(t *testing.T) {
	m, b := start(t, "2.77.1")
	m.Load(`{"interfaces":{"eth0":{"stats":{"n-sent":1}}}}`)
	for value, want := range map[any]string{
		"eth0": "--with=name=eth0", "5": `--with=name="5"`, "": `--with=name=""`, json.Number("5"): "--with=name=5",
		true: "--with=name=true", "null": `--with=name="null"`, "-x": "--with=name=-x", "a=b": "--with=name=a=b",
	} {
		m.ResetCalls()
		_, err := b.Get(t.Context(), interfaces, []string{"stats"}, backend.GetOptions{Constraints: obj{"name": value}})
		if value == "eth0" && err != nil {
			t.Errorf("get with name=%v: %v", value, err)
		}
		if value != "eth0" {
			wantKind(t, err, backend.ErrNoData)
		}
		calls := commands(m)
		if len(calls) != 1 || !strings.Contains(calls[0], want+" :control-interfaces") {
			t.Errorf("constraint %#v sent as %q, want %q", value, calls, want)
		}
	}
}

func TestHooks(t *testing.T) {
	m, b := start(t, "2.77.1")
	m.Load(`{"metrics":{"sample-rate":2}}`)
	inHook(t, m, "change-view-control-telemetry", func(b *snapctl.Backend) error {
		staged, err := b.Get(t.Context(), telemetry, []string{"sample-rate"}, backend.GetOptions{})
		if diff := cmp.Diff(obj{"sample-rate": json.Number("7")}, staged); diff != "" || err != nil {
			t.Errorf("in the hook (-want +got):\n%s%v", diff, err)
		}
		before, err := b.Previous(t.Context(), telemetry, "sample-rate")
		if diff := cmp.Diff(obj{"sample-rate": json.Number("2")}, before); diff != "" || err != nil {
			t.Errorf("before (-want +got):\n%s%v", diff, err)
		}
		return b.Set(t.Context(), tunnel, obj{"interface": "eth0", "peers": []any{"10.0.0.1"}})
	})
	inHook(t, m, "save-view-control-telemetry", func(b *snapctl.Backend) error {
		for _, err := range []error{b.Set(t.Context(), tunnel, obj{"interface": "x"}), b.Fail(t.Context(), "too late")} {
			if !errors.Is(err, backend.ErrUnsupported) {
				t.Errorf("in a save-view hook: %v", err)
			}
		}
		return nil
	})
	if err := b.Set(t.Context(), telemetry, obj{"sample-rate": json.Number("7")}); err != nil {
		t.Fatal(err)
	}
	want := `{"metrics":{"sample-rate":7},"tunnel":{"interface":"eth0","peers":["10.0.0.1"]}}`
	if m.Stored() != want {
		t.Errorf("stored %s, want %s", m.Stored(), want)
	}
	for _, call := range m.Calls() {
		line := strings.Join(call.Args, " ")
		if call.Cookie != m.Cookie() && strings.Contains(line, "--wait-for") {
			t.Errorf("a hook waits for itself: %s", line)
		}
		if strings.HasPrefix(line, "get") && strings.Contains(line, ":control-tunnel") {
			t.Errorf("a hook read back what it had set: %s", line)
		}
	}
}

func TestFail(t *testing.T) {
	m, b := start(t, "2.77.1")
	for reason, want := range map[string]string{"not on my watch": "not on my watch", " ": "refused", "-5 is odd": "-5 is odd"} {
		inHook(t, m, "change-view-control-telemetry", func(b *snapctl.Backend) error {
			if err := b.Fail(t.Context(), reason); err != nil {
				return err
			}
			if _, err := b.Get(t.Context(), telemetry, nil, backend.GetOptions{}); !errors.Is(err, backend.ErrRejected) {
				t.Errorf("get after fail = %v, though the transaction is over", err)
			}
			return nil
		})
		err := m.Write("control-telemetry", obj{"sample-rate": json.Number("7")})
		if err == nil || !strings.HasSuffix(err.Error(), "cust rejected changes: "+want) {
			t.Errorf("the administrator is told %v, want %q", err, want)
		}
	}
	wantKind(t, b.Fail(t.Context(), "no"), backend.ErrUnsupported)
	_, err := b.Previous(t.Context(), telemetry)
	wantKind(t, err, backend.ErrUnsupported)
}

func TestIsConnected(t *testing.T) {
	m, b := start(t, "2.77.1")
	for _, plug := range []string{"control-device", ":control-device"} {
		m.Connect("control-device")
		if connected, err := b.IsConnected(t.Context(), plug); err != nil || !connected {
			t.Errorf("%s: connected = %v, %v", plug, connected, err)
		}
		m.Disconnect("control-device")
		if connected, err := b.IsConnected(t.Context(), plug); err != nil || connected {
			t.Errorf("%s: connected = %v, %v", plug, connected, err)
		}
	}
	if _, err := b.IsConnected(t.Context(), "nosuch"); err == nil {
		t.Errorf("a plug that is not there is connected or not")
	}
	_, err := b.IsConnected(t.Context(), "--list")
	wantKind(t, err, backend.ErrBadRequest)
}

func TestRestart(t *testing.T) {
	m, b := start(t, "2.77.1")
	for _, service := range []string{"svc", "cust.svc"} {
		if err := b.Restart(t.Context(), service); err != nil {
			t.Errorf("restart %s: %v", service, err)
		}
	}
	if got := m.Restarts("cust.svc"); got != 2 {
		t.Errorf("restarted %d times, want 2", got)
	}
	if err := b.Restart(t.Context(), "nosuch"); err == nil || !strings.Contains(err.Error(), `"cust.nosuch"`) {
		t.Errorf("restart of what is not there = %v", err)
	}
}

func TestConfig(t *testing.T) {
	m, b := start(t, "2.77.1")
	values := obj{"listen": "127.0.0.1:8000", "interval": json.Number("5"), "verbose": true, "odd": "5"}
	if err := b.SetConfig(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	got, err := b.GetConfig(t.Context(), "listen", "interval", "verbose", "odd", "missing")
	if diff := cmp.Diff(values, got); diff != "" || err != nil {
		t.Errorf("configuration (-want +got):\n%s%v", diff, err)
	}
	if err := b.SetConfig(t.Context(), obj{"listen": nil}); err != nil || m.Config("listen") != nil {
		t.Errorf("listen = %v after unset, %v", m.Config("listen"), err)
	}
	if got, err := b.GetConfig(t.Context(), "listen"); err != nil || len(got) != 0 {
		t.Errorf("listen = %v, %v, want nothing", got, err)
	}
	for _, key := range []string{"", ":control-device", "a=b", "a!"} {
		_, err := b.GetConfig(t.Context(), key)
		wantKind(t, err, backend.ErrBadRequest)
		wantKind(t, b.SetConfig(t.Context(), obj{key: true}), backend.ErrBadRequest)
	}
	_, err = b.GetConfig(t.Context())
	wantKind(t, err, backend.ErrBadRequest)
}

func TestArguments(t *testing.T) {
	tests := []struct{ positional, want []string }{
		{[]string{":p", "a"}, []string{"get", ":p", "a"}},
		{[]string{":p", "-a"}, []string{"get", "--", ":p", "-a"}},
		{[]string{":p", "--"}, []string{"get", "--", ":p", "--"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, snapctl.Arguments([]string{"get"}, test.positional...)); diff != "" {
			t.Errorf("arguments of %q (-want +got):\n%s", test.positional, diff)
		}
	}
}

func TestWatchIsNudged(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	o := options(m)
	o.WatchEvery = time.Hour
	o.NudgeDir = filepath.Join(t.TempDir(), "told")
	b := open(t, o)
	if _, err := os.Stat(o.NudgeDir); err == nil {
		t.Errorf("the directory is there before anybody watches")
	}
	events, err := b.Watch(t.Context(), telemetry)
	if err != nil {
		t.Fatal(err)
	}
	others, err := b.Watch(t.Context(), tunnel)
	if err != nil {
		t.Fatal(err)
	}
	next := func(events <-chan backend.Event, want backend.ViewID) {
		t.Helper()
		select {
		case event := <-events:
			if event.View != want || event.Err != nil {
				t.Errorf("event %+v", event)
			}
		case <-t.Context().Done():
			t.Fatal("no event")
		}
	}
	write := func(view string, values obj) {
		t.Helper()
		if err := m.Write(view, values); err != nil {
			t.Fatal(err)
		}
	}

	write("control-telemetry", obj{"sample-rate": json.Number("3")})
	b.Nudge("control-telemetry")
	next(events, telemetry)
	write("control-telemetry", obj{"sample-rate": json.Number("4")})
	b.Nudge()
	next(events, telemetry)

	// As an observe-view hook of the snap does it.
	m.Handle("observe-view-control-telemetry", func(machine.HookCall) error {
		return snapctl.Poke(o.NudgeDir, "control-telemetry")
	})
	for rate := 5; rate < 8; rate++ {
		write("control-telemetry", obj{"sample-rate": rate})
		next(events, telemetry)
	}
	m.ResetCalls()
	write("control-tunnel", obj{"interface": "eth0"})
	if err := snapctl.Poke(o.NudgeDir, "control-tunnel"); err != nil {
		t.Fatal(err)
	}
	next(others, tunnel)
	for _, line := range commands(m) {
		if strings.Contains(line, ":control-telemetry") {
			t.Errorf("a nudge for another view caused %s", line)
		}
	}
	if err := snapctl.Poke(o.NudgeDir, "../control-tunnel"); err == nil {
		t.Errorf("poked outside of the directory")
	}
}

// All watches of a view share one read after a nudge, since a read takes tens of milliseconds on a real snapd.
func TestWatchesShareReads(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	o := options(m)
	o.WatchEvery = time.Hour
	b := open(t, o)
	var watches []<-chan backend.Event
	for range 5 {
		events, err := b.Watch(t.Context(), telemetry)
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, events)
	}
	if err := m.Write("control-telemetry", obj{"sample-rate": json.Number("3")}); err != nil {
		t.Fatal(err)
	}
	m.ResetCalls()
	b.Nudge("control-telemetry")
	for _, events := range watches {
		if event := <-events; event.Err != nil || event.View != telemetry {
			t.Errorf("event %+v", event)
		}
	}
	if calls := m.Calls(); len(calls) != 1 {
		t.Errorf("five watches and one nudge took %d calls: %v", len(calls), calls)
	}
}

func TestWatchIsInterrupted(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	m.Disconnect("control-telemetry")
	b := open(t, options(m))
	events, err := b.Watch(t.Context(), telemetry)
	if err != nil {
		t.Fatalf("watch = %v, though a plug can be connected", err)
	}
	event := <-events
	wantKind(t, event.Err, backend.ErrNotConnected)
	m.SetEnabled(false)
	m.Connect("control-telemetry")
	event = <-events
	wantKind(t, event.Err, backend.ErrDisabled)
	m.SetEnabled(true)
	if event = <-events; event.Err != nil {
		t.Errorf("event %+v, want one that says that it goes on", event)
	}

	_, err = b.Watch(t.Context(), backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: "no-such-plug"})
	wantKind(t, err, backend.ErrNoView)
	var refusal *backend.Error
	if errors.As(err, &refusal); refusal.Op != "watch" {
		t.Errorf("error is about %q", refusal.Op)
	}
}

func TestNudgeDirThatCannotBeMade(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(m)
	o.NudgeDir = filepath.Join(file, "told")
	b := open(t, o)
	if _, err := b.Watch(t.Context(), telemetry); err != nil {
		t.Errorf("watch = %v, though it can poll", err)
	}
	status, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(status.Warnings, "\n"); !strings.Contains(all, "changes are noticed late") {
		t.Errorf("warnings %q", all)
	}
}

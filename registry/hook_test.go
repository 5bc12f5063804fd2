package registry_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

// inSnap returns the options of a process of a snap with this cookie.
func inSnap(m *machine.Machine, cookie, common string) registry.Options {
	return registry.Options{SnapSocket: m.SnapSocket(), Getenv: func(name string) string {
		return map[string]string{"SNAP_COOKIE": cookie, "SNAP_INSTANCE_NAME": m.Snap(), "SNAP_COMMON": common}[name]
	}}
}

// TestHook runs hooks that read the new and the previous data, and refuse.
func TestHook(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	common := t.TempDir()
	var after, before testschema.ControlTunnel
	m.Handle("change-view-control-tunnel", func(call machine.HookCall) error {
		hook, err := registry.OpenHook(t.Context(), call.Name, inSnap(m, call.Cookie, common))
		if err != nil {
			return err
		}
		defer hook.Close()
		if err := hook.View(testschema.ControlTunnelView).Read(t.Context(), &after); err != nil {
			return err
		}
		err = hook.Previous(t.Context(), testschema.ControlTunnelView, &before)
		if err != nil && !errors.Is(err, registry.ErrNoData) {
			return err
		}
		if after.Interface == "eth9" {
			return hook.Refuse(t.Context(), "there is no eth9")
		}
		return nil
	})
	if err := m.Write(testschema.ControlTunnelView, map[string]any{"interface": "eth0"}); err != nil {
		t.Fatal(err)
	}
	if after.Interface != "eth0" || before.Interface != "" {
		t.Errorf("the hook saw %q, and %q before", after.Interface, before.Interface)
	}
	err := m.Write(testschema.ControlTunnelView, map[string]any{"interface": "eth9"})
	want := "cannot change confdb " + testschema.AccountID + "/network: cust rejected changes: there is no eth9"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if after.Interface != "eth9" || before.Interface != "eth0" {
		t.Errorf("the hook saw %q, and %q before", after.Interface, before.Interface)
	}

	// What only hooks can do is refused elsewhere.
	hook, err := registry.OpenHook(t.Context(), "configure", inSnap(m, m.Cookie(), common))
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	if err := hook.Refuse(t.Context(), "no"); !errors.Is(err, registry.ErrUnsupported) {
		t.Errorf("refusing outside of a hook: %v", err)
	}
	if err := hook.Previous(t.Context(), "/", &before); !errors.Is(err, registry.ErrBadRequest) {
		t.Errorf("a malformed view: %v", err)
	}
	if _, err := registry.OpenHook(t.Context(), "configure", inSnap(m, "", common)); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("without a cookie: %v", err)
	}
}

// TestHookConfiguration reads options and restarts a service, unless it is stopped.
func TestHookConfiguration(t *testing.T) {
	m := machine.Start(t, machine.Options{Services: []string{"daemon"}})
	hook, err := registry.OpenHook(t.Context(), "configure", inSnap(m, m.Cookie(), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	m.SetConfig(map[string]any{"listen": ":80"})
	values, err := hook.Config(t.Context(), "listen", "interval")
	if err != nil || fmt.Sprint(values) != "map[listen::80]" {
		t.Errorf("got %v, %v", values, err)
	}
	if restarted, err := hook.Restart(t.Context(), "daemon"); err != nil || !restarted || m.Restarts("cust.daemon") != 1 {
		t.Errorf("restarted %v, %v", restarted, err)
	}
	m.StopService("cust.daemon")
	if restarted, err := hook.Restart(t.Context(), "daemon"); err != nil || restarted || m.Restarts("cust.daemon") != 1 {
		t.Errorf("restarted %v, %v, though stopped", restarted, err)
	}
	if _, err := hook.Restart(t.Context(), "nosuch"); err == nil {
		t.Error("a service that does not exist was restarted")
	}
	if err := hook.Announce("control-tunnel"); err == nil {
		t.Error("word was left nowhere")
	}
}

// TestHints: an announcement of a hook gives the service a hint for the view, and reads nothing.
func TestHints(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	common := t.TempDir()
	reg, err := registry.Open(t.Context(), "snapctl:", inSnap(m, m.Cookie(), common))
	if err != nil {
		t.Fatal(err)
	}
	status, err := reg.Status(t.Context())
	if err != nil || !status.Capabilities.Hooks {
		t.Fatalf("capabilities %+v, %v", status.Capabilities, err)
	}
	m.ResetCalls()
	tunnel, err := reg.View(testschema.ControlTunnelView).Hints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	device, err := reg.View(testschema.ControlDeviceView).Hints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hook, err := registry.OpenHook(t.Context(), "observe-view-control-tunnel", inSnap(m, "any", common))
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Announce(testschema.ControlTunnelView); err != nil {
		t.Fatal(err)
	}
	if err := hook.Announce("no such view"); err == nil {
		t.Error("a view that cannot be was announced")
	}
	hook.Close()
	receive(t, tunnel, true)
	select {
	case <-device:
		t.Error("another view's hint came")
	default:
	}
	if calls := m.Calls(); len(calls) > 0 {
		t.Errorf("snapd was asked %v", calls)
	}
	if err := reg.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, tunnel, false)

	// Where no hooks can be, nobody waits for them.
	for name, open := range map[string]func() (*registry.Registry, error){
		"mem": func() (*registry.Registry, error) { return registry.Open(t.Context(), "mem:") },
		"no common directory": func() (*registry.Registry, error) {
			return registry.Open(t.Context(), "snapctl:", inSnap(m, m.Cookie(), ""))
		},
		"a file in its place": func() (*registry.Registry, error) {
			file := filepath.Join(t.TempDir(), "common")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return registry.Open(t.Context(), "snapctl:", inSnap(m, m.Cookie(), file))
		},
	} {
		reg, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reg.View(testschema.ControlTunnelView).Hints(t.Context()); !errors.Is(err, registry.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		reg.Close()
	}
	m.SetVersion("2.68.3")
	old, err := registry.Open(t.Context(), "snapctl:", inSnap(m, m.Cookie(), common))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if status, err := old.Status(t.Context()); err != nil || status.Capabilities.Hooks {
		t.Errorf("snapd 2.68 runs no observe-view hooks: %+v, %v", status.Capabilities, err)
	}
}

// receive waits for a hint, or for the end of hints.
func receive(t *testing.T, hints <-chan struct{}, want bool) {
	t.Helper()
	select {
	case _, got := <-hints:
		if got != want {
			t.Errorf("a hint: %v, want %v", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("waited in vain")
	}
}

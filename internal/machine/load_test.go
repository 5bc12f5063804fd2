package machine_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"aspects-poc/internal/machine"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapctl"
)

// TestLoadView is what was seen on snapd 2.77.1: what a load-view hook sets through another view of the confdb-schema is
// shown and not stored; a hook that fails fails the administrator's read, and is not told to an app.
func TestLoadView(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	id := func(view string) backend.ViewID {
		return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: view}
	}
	open := func(cookie, hook string) *snapctl.Backend {
		b, err := snapctl.Open(t.Context(), snapctl.Options{Socket: m.SnapSocket(), Cookie: cookie, Hook: hook})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		return b
	}
	m.Load(`{"interfaces":{"eth0":{"stats":{"n-received":1,"n-sent":2}}}}`)
	runs := 0
	var failure error
	m.Handle("load-view-observe-interfaces", func(call machine.HookCall) error {
		runs++
		if failure != nil {
			return failure
		}
		return open(call.Cookie, call.Name).Set(t.Context(), id(testschema.ControlInterfacesView),
			map[string]any{"stats.eth0": map[string]any{"n-sent": json.Number("7"), "n-received": json.Number("8")}})
	})
	stored := m.Stored()
	expect := func(want string) {
		t.Helper()
		app, err := open(m.Cookie(), "").Get(t.Context(), id(testschema.ObserveInterfacesView), []string{"packets-sent"},
			backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := json.Marshal(app); string(text) != `{"packets-sent":{"eth0":`+want+`}}` {
			t.Errorf("an app sees %s, want %s", text, want)
		}
		if m.Stored() != stored {
			t.Errorf("stored is %s", m.Stored())
		}
	}
	expect("7")
	found, err := m.Read(testschema.ObserveInterfacesView, "packets-received")
	if text, _ := json.Marshal(found); err != nil || string(text) != `{"packets-received":{"eth0":8}}` {
		t.Errorf("the administrator sees %s, %v", text, err)
	}
	if _, err := m.Read(testschema.ControlInterfacesView); err != nil || runs != 2 {
		t.Errorf("%v; the hook ran %d times, want 2: not for another view", err, runs)
	}
	failure = errors.New("out of counters")
	expect("2")
	if _, err := m.Read(testschema.ObserveInterfacesView); err == nil || !strings.Contains(err.Error(), "out of counters") {
		t.Errorf("the administrator sees %v", err)
	}
	failure = nil
	m.SetVersion("2.68.3") // which runs no such hooks
	expect("2")
}

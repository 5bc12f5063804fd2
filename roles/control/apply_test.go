package control_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
)

func telemetry(values map[string]any) serverapi.Config {
	return serverapi.Config{network.ControlTelemetryView: values}
}

func TestTarget(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	d.fleet.target = serverapi.Config{
		network.ControlTelemetryView:  map[string]any{"sample-rate": 6, "monitor-peers": nil, "monitor-packets-sent": true},
		network.ControlInterfacesView: map[string]any{"config": map[string]any{"wlan0": map[string]any{"ip-address": "10.1.1.1"}}},
		network.ControlTunnelView:     map[string]any{"peers": []any{"192.168.21.3", "10.0.0.1"}},
	}
	run := d.once(t, 0)
	want := []string{
		`Target applied to control-interfaces: config.wlan0.ip-address="10.1.1.1".`,
		`Target applied to control-telemetry: monitor-peers!, sample-rate=6.`,
		`Target applied to control-tunnel: peers=["192.168.21.3","10.0.0.1"].`,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(run.Out.String()), "\n")[2:]); diff != "" {
		t.Errorf("output (-want +got)\n%s", diff)
	}
	d.expect(t, `{"monitor-packets-received":false,"monitor-packets-sent":true,"sample-rate":6}`,
		network.ControlTelemetryView)
	d.expect(t, `{"peers":["192.168.21.3","10.0.0.1"]}`, network.ObserveTunnelView)
	d.expect(t, `{"config.wlan0":{"interface-type":"wifi","ip-address":"10.1.1.1"}}`,
		network.ControlInterfacesView, "config.wlan0")
	if counts := run.Counter.Counts(); counts.SetAll != 1 || counts.Set != 0 || counts.UpdateWrote != 1 {
		t.Errorf("took %+v, want the counters and one transaction", counts)
	}
	// The server has heard of it in the same cycle.
	reported := d.fleet.reported(t)[network.ControlTelemetryView].(map[string]any)
	if reported["sample-rate"] != 6.0 {
		t.Errorf("reported %v", reported)
	}
	run = d.once(t, 0)
	if strings.Contains(run.Out.String(), "Target") || run.Counter.Counts().SetAll != 0 {
		t.Errorf("in step, yet %s", run.Out)
	}
}

// A target may name views in full, and write numbers in another notation: they are the same views and numbers, and what
// the views show is compared with.
func TestTargetInFull(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	d.fleet.target = serverapi.Config{network.AccountID + "/network/control-telemetry": map[string]any{"sample-rate": json.Number("0.6e1")}}
	run := d.once(t, 0)
	if want := "Target applied to control-telemetry: sample-rate=0.6e1."; !strings.Contains(run.Out.String(), want) {
		t.Errorf("%q is not in %s", want, run.Out)
	}
	run = d.once(t, 0)
	if strings.Contains(run.Out.String(), "Target") || run.Counter.Counts().SetAll != 0 {
		t.Errorf("in step, yet %s", run.Out)
	}
}

// A target that the schema takes, but that has a value for which the roles have no type, is refused by its path. One that
// repairs such a value is not.
func TestUnreadable(t *testing.T) {
	document := func(sent any) map[string]map[string]any {
		return map[string]map[string]any{network.ControlInterfacesView: {"stats": map[string]any{"eth0": map[string]any{"n-sent": sent}}}}
	}
	for _, test := range []struct{ before, after, path string }{
		{"1", "1e1", ""},
		{"-5", "1", ""},
		{"1", "-5", "control-interfaces.stats.eth0.n-sent"},
		{"-5", "1.5", "control-interfaces.stats.eth0.n-sent"},
	} {
		err := control.Permitted([]string{network.ControlInterfacesView}, document(json.Number(test.before)),
			document(json.Number(test.after)))
		var refused *registry.Error
		if found := errors.As(err, &refused); found != (test.path != "") || found && (refused.Path != test.path ||
			refused.Reason == "" || !strings.Contains(err.Error(), test.path) || refused.Kind != registry.ErrBadRequest) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	got := control.Describe(map[string]any{
		"b": "\x1b[2J\u009b31m\n", "a": nil, "secret-key": "s3cret", "c.d": []any{1, map[string]any{"e": true}},
	})
	if want := `a!, b="\u001b[2J\u009b31m\n", c.d=[1,{"e":true}], secret-key=(secret)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTargetUnsetsView(t *testing.T) {
	d := newDevice(t)
	d.fleet.target = serverapi.Config{network.ControlTelemetryView: nil}
	d.once(t, 0)
	if got := d.JSON(network.ControlTelemetryView); !strings.HasSuffix(got, "no data") {
		t.Errorf("control-telemetry shows %s", got)
	}
	run := d.once(t, 0)
	if run.Counter.Counts().SetAll != 0 {
		t.Errorf("nothing was left to unset, yet %v", run.Counter.Operations())
	}
}

func TestRefusedTarget(t *testing.T) {
	tests := []struct {
		name   string
		target serverapi.Config
		want   []string // in the message
	}{
		{"value", telemetry(map[string]any{"sample-rate": -3, "monitor-peers": false}),
			[]string{`"metrics.sample-rate"`, "-3 is less than the allowed minimum 0"}},
		{"long value", serverapi.Config{network.ControlTunnelView: map[string]any{"peers": []any{strings.Repeat("z", 1_000_000)}}},
			[]string{"cannot apply the server's target", "zzz…"}},
		{"another notation, too much", telemetry(map[string]any{"sample-rate": json.Number("7.1e2"), "monitor-peers": false}),
			[]string{"sample-rate is reports a minute: 1 to 60, not 710"}},
		{"type", telemetry(map[string]any{"sample-rate": "often", "monitor-peers": false}),
			[]string{`"metrics.sample-rate"`, "expected int type but value was string"}},
		{"no rule", telemetry(map[string]any{"colour": "red", "monitor-peers": false}),
			[]string{"colour", "no matching rule"}},
		{"no view", serverapi.Config{"control-light": map[string]any{"on": true}}, []string{"control-light"}},
		{"read-only", serverapi.Config{network.ObserveTunnelView: map[string]any{"peers": []any{"10.0.0.1"}}},
			[]string{"observe-tunnel", "no matching rule"}},
		{"identity", serverapi.Config{network.ControlDeviceView: map[string]any{"id": "x"}},
			[]string{"control-device", "comes from its registration"}},
		{"identity in full", serverapi.Config{"network/" + network.ControlDeviceView: map[string]any{"id": "x"}},
			[]string{"control-device", "comes from its registration"}},
		{"two spellings", serverapi.Config{network.ControlTelemetryView: map[string]any{"sample-rate": 9},
			network.AccountID + "/network/control-telemetry": map[string]any{"sample-rate": 6}},
			[]string{network.AccountID + "/network/control-telemetry", `it is the same view as "control-telemetry"`}},
		{"another schema", serverapi.Config{"other/network/control-telemetry": map[string]any{"sample-rate": 9}},
			[]string{"other/network/control-telemetry", "another confdb-schema"}},
		{"no object", serverapi.Config{network.ControlTelemetryView: []any{1}},
			[]string{"control-telemetry", "want an object or null"}},
		{"peers twice", serverapi.Config{network.ControlTunnelView: map[string]any{"peers": []any{"10.0.0.1", "10.0.0.1"}},
			network.ControlTelemetryView: map[string]any{"sample-rate": 5}},
			[]string{`"tunnel.peers"`, "duplicate"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDevice(t)
			d.once(t, 0)
			before := d.JSON(network.ControlTelemetryView) + d.JSON(network.ControlTunnelView)
			d.fleet.target = test.target
			run := d.once(t, 1)
			if len(run.Err.String()) > 5000 {
				t.Errorf("the log has %d bytes", len(run.Err.String()))
			}
			for _, want := range test.want {
				if !strings.Contains(run.Err.String(), want) {
					t.Errorf("%q is not in %s", want, run.Err)
				}
			}
			if after := d.JSON(network.ControlTelemetryView) + d.JSON(network.ControlTunnelView); after != before {
				t.Errorf("changed from %s to %s", before, after)
			}
			if counts := run.Counter.Counts(); counts.SetAll+counts.Set > 0 {
				t.Errorf("it was tried: %+v", counts)
			}
		})
	}
}

// TestRefusedAgain keeps a refused target in place for an hour: it is told once, another one is told again, and a good
// one is applied.
func TestRefusedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		d.fleet.target = telemetry(map[string]any{"sample-rate": -3})
		run := d.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		log := run.Err.Take()
		if strings.Count(log, "target refused") != 1 || !strings.Contains(log, "path=metrics.sample-rate") ||
			!strings.Contains(log, `reason="-3 is less than the allowed minimum 0"`) {
			t.Errorf("log is\n%s", log)
		}
		d.fleet.change(func(f *fleet) { f.target = telemetry(map[string]any{"sample-rate": -4}) })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if log := run.Err.Take(); strings.Count(log, "target refused") != 1 {
			t.Errorf("log is\n%s", log)
		}
		d.fleet.change(func(f *fleet) { f.target = telemetry(map[string]any{"sample-rate": 4}) })
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(run.Out.String(), "sample-rate=4") {
			t.Error("the good target was not applied")
		}
		run.Stop()
	})
}

// TestCustodianRefuses: what the schema takes and a custodian does not is not tried in each cycle, and undone where the
// backend writes view by view.
func TestCustodianRefuses(t *testing.T) {
	refusal := &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: "cust rejected changes: too many"}
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		d.once(t, 0)
		before := d.JSON(network.ControlTelemetryView) + d.JSON(network.ControlTunnelView)
		d.fleet.target = serverapi.Config{
			network.ControlTelemetryView: map[string]any{"sample-rate": 6, "monitor-peers": nil},
			network.ControlTunnelView:    map[string]any{"peers": []any{"10.0.0.1"}},
		}
		run := d.Start(d.fleet.role(), rolestest.Options{Plain: true, Refuse: map[string]error{
			network.ControlTunnelView: refusal,
		}}, "control", "run", "--state", d.dir)
		time.Sleep(30*time.Minute + time.Second)
		run.Stop()
		if after := d.JSON(network.ControlTelemetryView) + d.JSON(network.ControlTunnelView); after != before {
			t.Errorf("changed from %s to %s", before, after)
		}
		log := run.Err.String()
		if strings.Count(log, "target refused") != 1 || !strings.Contains(log, "too many") {
			t.Errorf("log is\n%s", log)
		}
		// 31 counts, and once: one view, the refused one, the first put back.
		if counts := run.Counter.Counts(); counts.Set != 34 {
			t.Errorf("%d writes, want 34", counts.Set)
		}
	})
}

// TestWriteOnly has a target name what nobody can read: it is written once, and its value is not shown.
func TestWriteOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		d.fleet.target = serverapi.Config{network.ControlTunnelView: map[string]any{"secret-key": "hush"}}
		run := d.start()
		time.Sleep(30 * time.Minute)
		if counts := run.Counter.Counts(); counts.SetAll != 1 {
			t.Errorf("written %d times", counts.SetAll)
		}
		d.fleet.change(func(f *fleet) { f.target[network.ControlTunnelView] = map[string]any{"secret-key": "whisper"} })
		time.Sleep(30 * time.Minute)
		if counts := run.Counter.Counts(); counts.SetAll != 2 {
			t.Errorf("written %d times", counts.SetAll)
		}
		run.Stop()
		if all := run.Out.String() + run.Err.String(); strings.Contains(all, "hush") || strings.Contains(all, "whisper") {
			t.Errorf("the secret is told:\n%s", all)
		}
	})
}

// TestDrift: what somebody changes on the device goes back to the target with the next cycle.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		d.fleet.target = telemetry(map[string]any{"sample-rate": 6})
		run := d.start()
		for range 3 {
			time.Sleep(90 * time.Second)
			d.expect(t, `{"sample-rate":6}`, network.ControlTelemetryView, "sample-rate")
			d.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 1})
		}
		run.Stop()
	})
}

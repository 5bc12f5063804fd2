package reporting_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/reporting"

	"github.com/google/go-cmp/cmp"
)

const deviceID = "ca155b32-2472-4650-afb0-c6f967328afe"

// device returns a store with the original walk-through's values.
func device(t *testing.T) *rolestest.Store {
	t.Helper()
	store := rolestest.New(t)
	store.Set(network.ControlDeviceView, map[string]any{"id": deviceID, "registered": 1719407517})
	count(store, 137, 141)
	store.Set(network.ControlTunnelView, map[string]any{
		"peers": []any{"192.168.21.3", "192.168.151.225", "192.168.21.7"},
	})
	store.Set(network.ControlTelemetryView, map[string]any{
		"sample-rate": 2, "monitor-packets-sent": true, "monitor-packets-received": false, "monitor-peers": true,
	})
	return store
}

func count(store *rolestest.Store, eth0, wlan0 int) {
	store.Set(network.ControlInterfacesView, map[string]any{
		"stats.eth0":  map[string]any{"n-sent": eth0, "n-received": eth0 + 1},
		"stats.wlan0": map[string]any{"n-sent": wlan0, "n-received": wlan0 + 1},
	})
}

const report = `The network stats are:
    device-id: ca155b32-2472-4650-afb0-c6f967328afe
    packets-sent: eth0 137, wlan0 141
    tunnel-peers: 192.168.21.3, 192.168.151.225, 192.168.21.7
Next run in 30.00 seconds
`

func TestText(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]map[string]any
		want   string
	}{
		{"as the original", nil, report},
		{"received too", map[string]map[string]any{
			network.ControlTelemetryView: {"monitor-packets-received": true, "monitor-peers": nil, "sample-rate": 7},
		}, `The network stats are:
    device-id: ca155b32-2472-4650-afb0-c6f967328afe
    packets-sent: eth0 137, wlan0 141
    packets-received: eth0 138, wlan0 142
Next run in 8.57 seconds
`},
		{"much is missing", map[string]map[string]any{
			network.ControlDeviceView:     {"id": nil, "registered": nil},
			network.ControlInterfacesView: {"stats": nil},
			network.ControlTunnelView:     {"peers": nil},
		}, `The network stats are:
    device-id: missing, the device is not registered yet
    packets-sent: missing, no interface has been counted yet
    tunnel-peers: missing, the tunnel has no peers
Next run in 30.00 seconds
`},
		{"no telemetry", map[string]map[string]any{network.ControlTelemetryView: {
			"sample-rate": nil, "monitor-packets-sent": nil, "monitor-packets-received": nil, "monitor-peers": nil,
		}}, `The network stats are:
    control-telemetry: missing, nobody has said what to monitor
    device-id: ca155b32-2472-4650-afb0-c6f967328afe
Next run in 60.00 seconds (no sample-rate is set)
`},
		{"rate 0", map[string]map[string]any{network.ControlTelemetryView: {"sample-rate": 0}},
			strings.Replace(report, "30.00 seconds", "60.00 seconds (sample-rate 0 sets no pace)", 1)},
		{"absurd rate", map[string]map[string]any{network.ControlTelemetryView: {"sample-rate": 9007199254740991}},
			strings.Replace(report, "30.00 seconds", "0.10 seconds (sample-rate 9007199254740991 is too fast)", 1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := device(t)
			for view, values := range test.change {
				store.Set(view, values)
			}
			run := store.Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--once")
			if code := run.Wait(); code != 0 {
				t.Errorf("exit status %d: %s", code, run.Err)
			}
			if diff := cmp.Diff(test.want, run.Out.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEmptyRegistry(t *testing.T) {
	run := rolestest.New(t).Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--once", "--interval", "10s")
	if code := run.Wait(); code != 0 {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	want := `The network stats are:
    control-telemetry: missing, nobody has said what to monitor
    device-id: missing, the device is not registered yet
Next run in 10.00 seconds (no sample-rate is set)
`
	if diff := cmp.Diff(want, run.Out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestStrangeText(t *testing.T) {
	report := &reporting.Report{DeviceID: "\x1b[2J", TunnelPeers: []string{"a\nNext run", "b"}}
	got := report.Text()
	if want := `    device-id: \x1b[2J` + "\n" + `    tunnel-peers: a\nNext run, b` + "\n"; !strings.Contains(got, want) {
		t.Errorf("%q has no %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	store := device(t)
	store.Set(network.ControlTunnelView, map[string]any{"peers": nil})
	run := store.Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--once", "--format", "json")
	if code := run.Wait(); code != 0 {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	if lines := strings.Count(run.Out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines, want 1", lines)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(run.Out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if moment, ok := got["time"].(string); !ok {
		t.Errorf("time is %v", got["time"])
	} else if _, err := time.Parse(time.RFC3339, moment); err != nil {
		t.Error(err)
	}
	delete(got, "time")
	want := map[string]any{
		"device-id": deviceID, "packets-sent": map[string]any{"eth0": 137.0, "wlan0": 141.0},
		"missing": []any{"tunnel-peers"}, "next-run-seconds": 30.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWrongUsage(t *testing.T) {
	run := device(t).Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--format", "yaml")
	if code := run.Wait(); code != 2 || !strings.Contains(run.Err.String(), "text or json") {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
}

// TestPace looks at when reports come: 30 s apart, and at once after a changed setting, from then on at its pace.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := device(t)
		run := store.Start(reporting.Role, rolestest.Options{}, "reporting", "run")
		reports := func() int { return strings.Count(run.Out.Take(), "The network stats are:") }
		expect := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if got := reports(); got != want {
				t.Errorf("%d reports, want %d", got, want)
			}
		}
		expect(time.Millisecond, 1)
		expect(29*time.Second, 0)
		expect(time.Second, 1)
		count(store, 138, 150) // no setting: in time for the next report
		expect(29*time.Second, 0)
		expect(time.Second, 1)

		expect(7*time.Second, 0)
		store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 6})
		expect(time.Millisecond, 1)
		expect(9*time.Second, 0)
		expect(time.Second, 1)
		expect(10*time.Second, 1)

		store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 6}) // the same: nothing has changed
		expect(time.Millisecond, 0)
		store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 0})
		expect(time.Millisecond, 1)
		expect(59*time.Second, 0)
		expect(time.Second, 1)
		if code := run.Stop(); code != 0 {
			t.Errorf("exit status %d: %s", code, run.Err)
		}
	})
}

// TestOperations counts registry operations: nothing is read again that has not changed.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := device(t)
		run := store.Start(reporting.Role, rolestest.Options{}, "reporting", "run")
		time.Sleep(15 * time.Second)
		if counts := run.Counter.Counts(); counts.Get != 4 || counts.Writes() != 0 {
			t.Errorf("at the start %+v, want a read of each of four views", counts)
		}
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		if operations := run.Counter.Operations(); len(operations) > 0 {
			t.Errorf("ten minutes without a change took %v", operations)
		}
		for i := range 10 { // minutes in which control counts once and reporting reports twice
			count(store, 200+i, 2)
			time.Sleep(time.Minute)
		}
		if counts := run.Counter.Counts(); counts.Get != 10 || counts.Update+counts.Set+counts.SetAll != 0 {
			t.Errorf("ten minutes with a count in each took %+v, want 10 reads", counts)
		}
		run.Stop()
	})
	// Where changes are not announced, each view is read once for each report.
	synctest.Test(t, func(t *testing.T) {
		store := device(t)
		run := store.Start(reporting.Role, rolestest.Options{Plain: true}, "reporting", "run")
		time.Sleep(15 * time.Second)
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		if counts := run.Counter.Counts(); counts.Get != 80 || counts.Watch != 0 {
			t.Errorf("20 reports took %+v, want 80 reads", counts)
		}
		run.Stop()
	})
}

// TestPlugNotConnected: the role waits, says once what mends it, and carries on by itself.
func TestPlugNotConnected(t *testing.T) {
	refusal := &registry.Error{Op: "open", Kind: registry.ErrNotConnected, Reason: "plug not connected",
		Remedy: "snap connect aspects-poc-reporting:control-telemetry"}
	synctest.Test(t, func(t *testing.T) {
		store := device(t)
		var connected atomic.Bool
		run := store.Start(reporting.Role, rolestest.Options{
			Open: func(open func() (*registry.Registry, error)) (*registry.Registry, error) {
				if !connected.Load() {
					return nil, refusal
				}
				return open()
			},
		}, "reporting", "run")
		time.Sleep(5 * time.Minute)
		connected.Store(true)
		time.Sleep(61 * time.Second)
		run.Stop()
		if strings.Count(run.Err.String(), "snap connect") != 1 || !strings.Contains(run.Err.String(), "answers again") {
			t.Errorf("log is\n%s", run.Err)
		}
		if !strings.HasPrefix(run.Out.String(), report) {
			t.Errorf("output is\n%s", run.Out)
		}
	})
}

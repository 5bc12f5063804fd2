package control_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
)

// configured is a custodian's snap with what the default configuration has.
func configured(t *testing.T) *rolestest.Snap {
	t.Helper()
	snap := rolestest.NewSnap(t, control.Role, "")
	for _, write := range []struct {
		view   string
		values map[string]any
	}{
		{network.ControlInterfacesView, map[string]any{
			"config.eth0":  map[string]any{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
			"config.wlan0": map[string]any{"interface-type": "wifi", "ip-address": "192.168.0.104"},
		}},
		{network.ControlTunnelView, map[string]any{"interface": "eth0", "peers": []any{"192.168.21.3"}}},
		{network.ControlTelemetryView, map[string]any{"sample-rate": json.Number("2")}},
		{network.ControlDeviceView, map[string]any{"server-url": "http://127.0.0.1:8000"}},
	} {
		if err := snap.Write(write.view, write.values); err != nil {
			t.Fatal(err)
		}
	}
	return snap
}

// TestCustodian writes as an administrator does, who is told why a write is refused.
func TestCustodian(t *testing.T) {
	const device, interfaces, tunnel, telemetry = network.ControlDeviceView, network.ControlInterfacesView,
		network.ControlTunnelView, network.ControlTelemetryView
	number := func(text string) json.Number { return json.Number(text) }
	tests := []struct {
		name   string
		view   string
		values map[string]any
		want   string // the reason; "" if it is taken
	}{
		{"sample-rate", telemetry, map[string]any{"sample-rate": number("60")}, ""},
		{"sample-rate beyond", telemetry, map[string]any{"sample-rate": number("90")},
			"sample-rate is reports a minute: 1 to 60, not 90"},
		{"sample-rate of none", telemetry, map[string]any{"sample-rate": number("0"), "monitor-peers": true},
			"sample-rate is reports a minute: 1 to 60, not 0"},
		{"sample-rate taken away", telemetry, map[string]any{"sample-rate": nil}, ""},
		{"all taken away", telemetry, map[string]any{"sample-rate": nil, "monitor-peers": nil}, ""},

		{"server", device, map[string]any{"server-url": "https://fleet.example.com"}, ""},
		{"server by another scheme", device, map[string]any{"server-url": "ftp://example.com"},
			`server-url "ftp://example.com" is no address of a server: it must begin with http:// or https://`},
		{"identity", device, map[string]any{"id": "ca155b32-2472-4650-afb0-c6f967328afe", "registered": number("1719407517")}, ""},

		{"tunnel", tunnel, map[string]any{"interface": "wlan0", "peers": []any{"10.0.0.1", "10.0.0.2"}}, ""},
		{"tunnel on nothing", tunnel, map[string]any{"interface": "eth9"},
			`the tunnel's interface "eth9" is not configured in control-interfaces: there are eth0, wlan0`},
		{"tunnel to itself", tunnel, map[string]any{"peers": []any{"10.0.0.1", "172.16.0.3"}},
			"peer 172.16.0.3 is this device itself, by its interface eth0"},
		{"two objections", tunnel, map[string]any{"interface": "eth9", "peers": []any{"172.16.0.3"}},
			`the tunnel's interface "eth9" is not configured in control-interfaces: there are eth0, wlan0; ` +
				"peer 172.16.0.3 is this device itself, by its interface eth0"},
		{"secret", tunnel, map[string]any{"secret-key": "hush"}, ""},
		{"no peers", tunnel, map[string]any{"peers": nil}, ""},

		{"another interface", interfaces, map[string]any{"config.usb0.interface-type": "ethernet"}, ""},
		{"interface without tunnel gone", interfaces, map[string]any{"config.wlan0": nil}, ""},
		{"interface of the tunnel gone", interfaces, map[string]any{"config.eth0": nil},
			`the tunnel's interface "eth0" is not configured in control-interfaces: there are wlan0`},
		{"interface at a peer's address", interfaces, map[string]any{"config.wlan0.ip-address": "192.168.21.3"},
			"peer 192.168.21.3 is this device itself, by its interface wlan0"},
		{"counters that nobody keeps", interfaces, map[string]any{
			"stats.eth0": map[string]any{"n-sent": number("1"), "n-received": number("2")}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			snap := configured(t)
			before := snap.Stored()
			err := snap.Write(test.view, test.values)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want == "" && snap.Stored() == before:
				t.Errorf("nothing was stored: %s", before)
			case test.want != "" && (err == nil || !strings.HasSuffix(err.Error(),
				network.AccountID+"/network: aspects-poc-control rejected changes: "+test.want)):
				t.Errorf("got error %v, want %s", err, test.want)
			case test.want != "" && snap.Stored() != before:
				t.Errorf("changed from %s to %s", before, snap.Stored())
			}
		})
	}
}

// A write is not refused for what was wrong before and what it has nothing to do with.
func TestCustodianFindsWrong(t *testing.T) {
	snap := configured(t)
	snap.Load(`{"tunnel":{"interface":"eth9","peers":["10.0.0.1"]},"metrics":{"sample-rate":90}}`)
	if err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.2"}}); err != nil {
		t.Error(err)
	}
	if err := snap.Write(network.ControlTelemetryView, map[string]any{"monitor-peers": true}); err != nil {
		t.Error(err)
	}
	if err := snap.Write(network.ControlTelemetryView, map[string]any{"sample-rate": json.Number("91")}); err == nil {
		t.Error("another wrong sample-rate was taken")
	}
}

// What cannot be checked is refused, with the command that mends it.
func TestCustodianCannotCheck(t *testing.T) {
	snap := configured(t)
	snap.Disconnect(network.ControlInterfacesView)
	err := snap.Write(network.ControlTunnelView, map[string]any{"interface": "wlan0"})
	if err == nil || !strings.Contains(err.Error(), "rejected changes: the rules for control-tunnel cannot be checked") ||
		!strings.Contains(err.Error(), "snap connect aspects-poc-control:control-interfaces") {
		t.Errorf("got %v", err)
	}
}

// The daemon gets word of what is written.
func TestCustodianTells(t *testing.T) {
	snap := configured(t)
	told := func() []string {
		entries, err := os.ReadDir(filepath.Join(snap.Common, "confdb-changes"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	want := []string{"control-device", "control-interfaces", "control-telemetry", "control-tunnel", "observe-device"}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func (d *device) inSnap(t *testing.T) *rolestest.Snap {
	t.Helper()
	return rolestest.NewSnap(t, d.fleet.role(), "")
}

func packetsSent(t *testing.T, snap *rolestest.Snap, view, key string) string {
	t.Helper()
	document, err := snap.Read(view, key)
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSuppliedCounters counts in a snap: nothing of it is written to confdb, yet whoever reads sees it grow.
func TestSuppliedCounters(t *testing.T) {
	d := newDevice(t)
	snap := d.inSnap(t)
	once := func() {
		t.Helper()
		run := snap.Start("run", "--once", "--seed", "1")
		if code := run.Wait(); code != 0 {
			t.Fatalf("exit status %d: %s", code, run.Err)
		}
	}
	once()
	if strings.Contains(snap.Stored(), "n-sent") {
		t.Errorf("the counters are in confdb: %s", snap.Stored())
	}
	stored := snap.Stored()
	first := packetsSent(t, snap, network.ObserveInterfacesView, "packets-sent")
	if !strings.HasPrefix(first, `{"packets-sent":{"eth0":`) {
		t.Errorf("observe-interfaces shows %s", first)
	}
	once()
	second := packetsSent(t, snap, network.ObserveInterfacesView, "packets-sent")
	if second == first {
		t.Errorf("observe-interfaces still shows %s", second)
	}
	if shown := packetsSent(t, snap, network.ControlInterfacesView, "stats"); !strings.Contains(shown, `"n-sent"`) {
		t.Errorf("control-interfaces shows %s", shown)
	}
	if snap.Stored() != stored {
		t.Errorf("a cycle changed confdb from %s to %s", stored, snap.Stored())
	}
	for _, call := range snap.Calls() {
		if call.Args[0] == "set" && call.Cookie == snap.Cookie() && strings.Contains(strings.Join(call.Args, " "), "stats.") {
			t.Errorf("the daemon wrote %v", call.Args)
		}
	}

	// What is counted cannot be set, for nobody would see it.
	err := snap.Write(network.ControlInterfacesView, map[string]any{
		"stats.eth0": map[string]any{"n-sent": json.Number("1"), "n-received": json.Number("1")}})
	if err == nil || !strings.Contains(err.Error(), "stats are what aspects-poc-control has counted, and cannot be set") {
		t.Errorf("setting counters: %v", err)
	}
	if err := snap.Write(network.ControlInterfacesView, map[string]any{"config.wlan0": nil}); err != nil {
		t.Error(err)
	}
	once()
	if shown := packetsSent(t, snap, network.ObserveInterfacesView, "packets-sent"); strings.Contains(shown, "wlan0") {
		t.Errorf("an interface that is gone still shows %s", shown)
	}

	// A damaged file takes no view away; the daemon says what to do.
	file := filepath.Join(snap.Common, "counters.json")
	if err := os.WriteFile(file, []byte(`{"eth0":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if shown := packetsSent(t, snap, network.ControlInterfacesView, "config"); !strings.Contains(shown, "172.16.0.3") {
		t.Errorf("control-interfaces shows %s", shown)
	}
	run := snap.Start("run", "--once")
	if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), "move it away to count from zero") {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	// On request the counters are in confdb.
	once()
	before := packetsSent(t, snap, network.ObserveInterfacesView, "packets-sent")
	if run = snap.Start("run", "--once", "--counters", "registry"); run.Wait() != 0 {
		t.Errorf("--counters registry: %s", run.Err)
	}
	if !strings.Contains(snap.Stored(), "n-sent") {
		t.Errorf("the counters are not in confdb: %s", snap.Stored())
	}
	if after := packetsSent(t, snap, network.ObserveInterfacesView, "packets-sent"); after == before {
		t.Errorf("they went from %s to %s", before, after)
	}
}

// TestRulesBeforeWriting: a target that the custodian's own hooks would refuse is not written, and the reason is told.
func TestRulesBeforeWriting(t *testing.T) {
	d := newDevice(t)
	snap := d.inSnap(t)
	if run := snap.Start("run", "--once"); run.Wait() != 0 {
		t.Fatal(run.Err)
	}
	tests := []struct {
		name   string
		target serverapi.Config
		want   string
	}{
		{"sample-rate", serverapi.Config{network.ControlTelemetryView: map[string]any{"sample-rate": 90}},
			"sample-rate is reports a minute: 1 to 60, not 90"},
		{"interface", serverapi.Config{network.ControlTunnelView: map[string]any{"interface": "eth9"}},
			`the tunnel's interface "eth9" is not configured in control-interfaces: there are eth0, wlan0`},
		{"needs two steps", serverapi.Config{
			network.ControlTunnelView:     map[string]any{"interface": "usb0"},
			network.ControlInterfacesView: map[string]any{"config": map[string]any{"eth0": nil, "usb0": map[string]any{"interface-type": "ethernet"}}},
		}, "can only be written in steps"},
	}
	for _, test := range tests {
		before := snap.Stored()
		d.fleet.change(func(f *fleet) { f.target = test.target })
		snap.ResetCalls()
		run := snap.Start("run", "--once")
		if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), test.want) {
			t.Errorf("%s: exit status %d: %s", test.name, code, run.Err)
		}
		for _, call := range snap.Calls() {
			if call.Args[0] == "set" && call.Cookie == snap.Cookie() {
				t.Errorf("%s: written %v", test.name, call.Args)
			}
		}
		if snap.Stored() != before {
			t.Errorf("%s: changed to %s", test.name, snap.Stored())
		}
	}
	// The tunnel is moved before its old interface goes, and after its new one has come.
	for _, target := range []serverapi.Config{
		{network.ControlTunnelView: map[string]any{"interface": "wlan0"},
			network.ControlInterfacesView: map[string]any{"config": map[string]any{"eth0": nil}}},
		{network.ControlTunnelView: map[string]any{"interface": "usb0"},
			network.ControlInterfacesView: map[string]any{"config": map[string]any{"usb0": map[string]any{"interface-type": "ethernet"}}}},
	} {
		d.fleet.change(func(f *fleet) { f.target = target })
		if run := snap.Start("run", "--once"); run.Wait() != 0 {
			t.Errorf("%v: %s", target, run.Err)
		}
	}
	// The last target says nothing of eth0, so the device has its own again.
	if stored := snap.Stored(); !strings.Contains(stored, `"eth0":{"config":{"interface-type":"ethernet","ip-address":"172.16.0.3"}}`) || !strings.Contains(stored, `"interface":"usb0"`) {
		t.Errorf("stored is %s", stored)
	}
}

// TestRefresh: registration, key and counters survive another revision, which has a folder of its own for the rest.
func TestRefresh(t *testing.T) {
	d := newDevice(t)
	snap := d.inSnap(t)
	once := func() {
		t.Helper()
		if run := snap.Start("run", "--once", "--seed", "1"); run.Wait() != 0 {
			t.Fatal(run.Err)
		}
	}
	once()
	key := readKey(t, snap.Common)
	var before, after map[string]network.InterfaceStats
	read := func(dst any) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(snap.Common, "counters.json"))
		if err == nil {
			err = json.Unmarshal(text, dst)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	snap.Data = t.TempDir()
	once()
	read(&after)
	if registrations, _, _ := d.fleet.figures(); registrations != 1 {
		t.Errorf("%d registrations", registrations)
	}
	if !key.Equal(readKey(t, snap.Common)) {
		t.Error("another key")
	}
	if after["eth0"].NSent <= before["eth0"].NSent {
		t.Errorf("the counters went from %v to %v", before, after)
	}
}

// TestDaemonInSnap runs the daemon on snapd: once it has started, cycles ask nothing of confdb, and what an administrator
// writes reaches it all the same.
func TestDaemonInSnap(t *testing.T) {
	d := newDevice(t)
	snap := d.inSnap(t)
	run := snap.Start("run", "--interval", "10ms")
	cycles := func(n int) {
		t.Helper()
		from := strings.Count(run.Out.String(), "eth0: ")
		rolestest.Await(t, "cycles", func() bool { return strings.Count(run.Out.String(), "eth0: ") >= from+n })
	}
	rolestest.Await(t, "the registration", func() bool { return strings.Contains(run.Out.String(), "registered.") })
	cycles(20)
	snap.ResetCalls()
	cycles(100)
	// A read for safety may fall into any second, of five views at most.
	if calls := snap.Calls(); len(calls) > 5 {
		t.Errorf("100 cycles took %v", calls)
	}
	if err := snap.Write(network.ControlTelemetryView, map[string]any{"sample-rate": json.Number("7")}); err != nil {
		t.Fatal(err)
	}
	rolestest.Await(t, "that the server hears of it", func() bool {
		reported, _ := d.fleet.reported(t)[network.ControlTelemetryView].(map[string]any)
		return reported["sample-rate"] == 7.0
	})
	d.fleet.change(func(f *fleet) { f.target = telemetry(map[string]any{"sample-rate": 9}) })
	rolestest.Await(t, "that the target is applied", func() bool {
		return strings.Contains(snap.Stored(), `"sample-rate":9`)
	})
	d.fleet.change(func(f *fleet) { f.target = telemetry(map[string]any{"sample-rate": 90}) })
	rolestest.Await(t, "that the target is refused", func() bool {
		return strings.Contains(run.Err.String(), "1 to 60, not 90")
	})
	if code := run.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestOlderSnapd: snapd 2.68 runs change-view hooks, and neither load-view nor observe-view hooks: counters are in confdb.
func TestOlderSnapd(t *testing.T) {
	d := newDevice(t)
	snap := d.inSnap(t)
	snap.SetVersion("2.68.3")
	for range 2 {
		if run := snap.Start("run", "--once"); run.Wait() != 0 {
			t.Fatal(run.Err)
		}
	}
	if stored := snap.Stored(); !strings.Contains(stored, `"n-sent"`) {
		t.Errorf("stored is %s", stored)
	}
	err := snap.Write(network.ControlTunnelView, map[string]any{"peers": []any{"172.16.0.3"}})
	if err == nil || !strings.Contains(err.Error(), "peer 172.16.0.3 is this device itself") {
		t.Errorf("got %v", err)
	}
}

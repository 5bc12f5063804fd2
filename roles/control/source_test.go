package control_test

import (
	"encoding/json"
	"net/netip"
	"runtime/debug"
	"strings"
	"testing"

	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

// system runs one cycle on a machine with these interfaces.
func (d *device) system(t *testing.T, links ...netdev.Link) *rolestest.Run {
	t.Helper()
	run := d.Start(d.fleet.role(links...), rolestest.Options{},
		"control", "run", "--once", "--state", d.dir, "--source", "system")
	if code := run.Wait(); code != 0 {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	return run
}

func TestSystem(t *testing.T) {
	d := newDevice(t)
	address := []netip.Addr{netip.MustParseAddr("192.0.2.7")}
	wired := netdev.Link{Name: "enp0s3", Kind: netdev.Ethernet, Addresses: address, Sent: 1000, Received: 2000}
	radio := netdev.Link{Name: "wlp2s0", Kind: netdev.Wifi, Sent: 5}
	odd := []netdev.Link{{Name: "enp0s3.100", Kind: netdev.Ethernet}, {Name: "docker_0"}, {Name: "Eth"}, {Name: "a"},
		{Name: "br-lan"}}
	run := d.system(t, append(odd, wired, radio)...)
	output, _, _ := strings.Cut(run.Out.String(), "Device")
	if diff := cmp.Diff("enp0s3: 1000 packets ↑, 2000 packets ↓\nwlp2s0: 5 packets ↑, 0 packets ↓\n", output); diff != "" {
		t.Errorf("output (-want +got)\n%s", diff)
	}
	for _, link := range odd {
		if n := strings.Count(run.Err.String(), "interface="+link.Name+" "); n != 1 {
			t.Errorf("%d warnings of %s in\n%s", n, link.Name, run.Err)
		}
	}
	d.expect(t, `{"config":{"enp0s3":{"interface-type":"ethernet","ip-address":"192.0.2.7"},`+
		`"wlp2s0":{"interface-type":"wifi"}}}`, network.ControlInterfacesView, "config")
	d.expect(t, `{"interface":"enp0s3"}`, network.ControlTunnelView, "interface")
	d.expect(t, `{"packets-sent":{"enp0s3":1000,"wlp2s0":5}}`, network.ObserveInterfacesView, "packets-sent")

	// Only what counted is written, as the kernel's own total.
	wired.Sent, wired.Received = 1003, 2001
	run = d.system(t, wired, radio)
	if diff := cmp.Diff("enp0s3: 3 packets ↑, 1 packets ↓\nwlp2s0: 0 packets ↑, 0 packets ↓\n", run.Out.String()); diff != "" {
		t.Errorf("output (-want +got)\n%s", diff)
	}
	d.expect(t, `{"packets-received":{"enp0s3":2001,"wlp2s0":0}}`, network.ObserveInterfacesView, "packets-received")

	// The machine has started anew: the counters have, too.
	wired.Sent, wired.Received = 10, 20
	run = d.system(t, wired, radio)
	if !strings.HasPrefix(run.Out.String(), "enp0s3: 10 packets ↑, 20 packets ↓\n") {
		t.Errorf("output is\n%s", run.Out)
	}
	run = d.system(t, wired, radio)
	if counts := run.Counter.Counts(); counts.Writes() != 0 {
		t.Errorf("nothing went by, yet %+v", counts)
	}
	run = d.system(t)
	if run.Out.String() != "" || run.Counter.Counts().Writes() != 0 {
		t.Errorf("without interfaces: output %q, %+v", run.Out, run.Counter.Counts())
	}
}

// TestSourceChanges has simulated counts first, then the kernel's: what went by before is not counted.
func TestSourceChanges(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	eth0 := netdev.Link{Name: "eth0", Kind: netdev.Ethernet, Sent: 1000, Received: 2000}
	radio := netdev.Link{Name: "wlp2s0", Kind: netdev.Wifi, Sent: 5}
	for _, want := range []string{
		"eth0: 0 packets ↑, 0 packets ↓\nwlp2s0: 0 packets ↑, 0 packets ↓\n",
		"eth0: 3 packets ↑, 0 packets ↓\nwlp2s0: 1 packets ↑, 0 packets ↓\n",
	} {
		if got := d.system(t, eth0, radio).Out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		eth0.Sent, radio.Sent = eth0.Sent+3, radio.Sent+1
	}
	d.expect(t, `{"packets-sent.eth0":1003}`, network.ObserveInterfacesView, "packets-sent.eth0")
	d.once(t, 0)
	if got := d.system(t, eth0).Out.String(); got != "eth0: 0 packets ↑, 0 packets ↓\n" {
		t.Errorf("the second time it counted\n%s", got)
	}
}

func TestSimulation(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0, "--seed", "3")
	d.Set(network.ControlInterfacesView, map[string]any{
		"config.usb0.interface-type": "ethernet",
		"stats.eth0":                 map[string]any{"n-sent": 9007199254740990, "n-received": 40},
		"stats.wlan0":                nil,
	})
	run := d.once(t, 0, "--seed", "3")
	again := newDevice(t)
	again.once(t, 0)
	again.Set(network.ControlInterfacesView, map[string]any{"config.usb0.interface-type": "ethernet"})
	if same := again.once(t, 0, "--seed", "3"); same.Out.String() != run.Out.String() {
		t.Errorf("the same seed made\n%s and\n%s", run.Out, same.Out)
	}
	var interfaces network.ControlInterfaces
	if err := d.Registry.View(network.ControlInterfacesView).Read(t.Context(), &interfaces); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wlan0", "usb0"} {
		stats := interfaces.Stats[name]
		if stats.NSent < 1 || stats.NSent > 10 || stats.NReceived < 1 || stats.NReceived > 10 {
			t.Errorf("%s has %+v, want 1 to 10 each", name, stats)
		}
	}
	// At its limit the counter starts again.
	if stats := interfaces.Stats["eth0"]; stats.NSent > 10 || stats.NReceived < 41 || stats.NReceived > 50 {
		t.Errorf("eth0 has %+v", stats)
	}
}

// TestInterfaceName keeps the names that are skipped equal to those that the schema refuses.
func TestInterfaceName(t *testing.T) {
	var document struct {
		Body string `json:"body"`
	}
	if err := json.Unmarshal(network.Document(""), &document); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Storage struct {
			Aliases map[string]struct {
				Pattern string `json:"pattern"`
			} `json:"aliases"`
		} `json:"storage"`
	}
	if err := json.Unmarshal([]byte(document.Body), &body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body.Storage.Aliases["interface-name"].Pattern, control.InterfaceName.String()); diff != "" {
		t.Errorf("the schema's pattern is another one (-schema +ours)\n%s", diff)
	}
}

func TestDebianName(t *testing.T) {
	goarm := func(value string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "GOARM", Value: value}}
	}
	tests := []struct {
		goarch   string
		settings []debug.BuildSetting
		want     string
	}{
		{"amd64", nil, "amd64"}, {"arm64", nil, "arm64"}, {"386", nil, "i386"}, {"ppc64le", nil, "ppc64el"},
		{"riscv64", nil, "riscv64"}, {"s390x", nil, "s390x"}, {"mips64le", nil, "mips64el"}, {"loong64", nil, "loong64"},
		{"arm", nil, "armhf"}, {"arm", goarm("7"), "armhf"}, {"arm", goarm("6"), "armhf"}, {"arm", goarm("5"), "armel"},
		{"arm", goarm("7,softfloat"), "armel"}, {"arm", goarm("5,hardfloat"), "armel"},
	}
	for _, test := range tests {
		if got := control.DebianName(test.goarch, test.settings); got != test.want {
			t.Errorf("%s %v is %s, want %s", test.goarch, test.settings, got, test.want)
		}
	}
}

package control_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

// A device is a store, its fleet and its state directory.
type device struct {
	*rolestest.Store
	fleet *fleet
	dir   string
}

func newDevice(t *testing.T) *device {
	return &device{Store: rolestest.New(t), fleet: &fleet{}, dir: t.TempDir()}
}

func (d *device) start(words ...string) *rolestest.Run {
	return d.Start(d.fleet.role(), rolestest.Options{}, append([]string{"control", "run", "--state", d.dir}, words...)...)
}

// once runs one cycle, which must end with the code.
func (d *device) once(t *testing.T, code int, words ...string) *rolestest.Run {
	t.Helper()
	run := d.start(append([]string{"--once"}, words...)...)
	if got := run.Wait(); got != code {
		t.Errorf("exit status %d, want %d: %s", got, code, run.Err)
	}
	return run
}

func (d *device) expect(t *testing.T, want string, view string, requests ...string) {
	t.Helper()
	if got := d.JSON(view, requests...); got != want {
		t.Errorf("%s %v shows %s, want %s", view, requests, got, want)
	}
}

const defaultConfig = `{"config":{"eth0":{"interface-type":"ethernet","ip-address":"172.16.0.3"},` +
	`"wlan0":{"interface-type":"wifi","ip-address":"192.168.0.104"}}}`

func TestFirstCycle(t *testing.T) {
	d := newDevice(t)
	run := d.once(t, 0, "--seed", "1")
	lines := regexp.MustCompile(`^eth0: \d+ packets ↑, \d+ packets ↓\nwlan0: \d+ packets ↑, \d+ packets ↓\n` +
		`Device [0-9a-f-]{36} registered\.\n$`)
	if !lines.MatchString(run.Out.String()) {
		t.Errorf("output is\n%s", run.Out)
	}
	d.expect(t, defaultConfig, network.ControlInterfacesView, "config")
	d.expect(t, `{"interface":"eth0","peers":["192.168.21.3","192.168.151.225","192.168.21.7"]}`,
		network.ControlTunnelView)
	d.expect(t, `{"monitor-packets-received":false,"monitor-packets-sent":true,"monitor-peers":true,"sample-rate":2}`,
		network.ControlTelemetryView)
	d.expect(t, `{"server-url":"http://127.0.0.1:8000"}`, network.ControlDeviceView)
	d.expect(t, `{"registered":1719407517}`, network.ObserveDeviceView, "registered")

	if registrations, polls, _ := d.fleet.figures(); registrations != 1 || polls != 1 {
		t.Errorf("%d registrations and %d polls, want 1 and 1", registrations, polls)
	}
	request := d.fleet.registered[0]
	if request.IPAddress != "127.0.0.1" || request.Arch == "" {
		t.Errorf("registered as %+v", request)
	}
	public, _ := pem.Decode([]byte(request.PublicKeyRSA))
	if public == nil || public.Type != "PUBLIC KEY" {
		t.Fatalf("the public key is %q", request.PublicKeyRSA)
	}
	private := readKey(t, d.dir)
	parsed, err := x509.ParsePKIXPublicKey(public.Bytes)
	if err != nil || !private.PublicKey.Equal(parsed) || private.N.BitLen() < 2048 {
		t.Errorf("the public key is not that of the private one, or too short: %v", err)
	}

	reported := d.fleet.reported(t)
	for _, view := range []string{network.ControlInterfacesView, network.ControlTunnelView, network.ControlTelemetryView} {
		var shown map[string]any
		if err := json.Unmarshal([]byte(d.JSON(view)), &shown); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any(shown), reported[view]); diff != "" {
			t.Errorf("%s was not reported as it is (-is +reported)\n%s", view, diff)
		}
	}
	if len(reported) != 3 {
		t.Errorf("%d views were reported, want 3", len(reported))
	}
}

func readKey(t *testing.T, dir string) *rsa.PrivateKey {
	t.Helper()
	path := filepath.Join(dir, "device-key.pem")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the private key's mode is %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(*rsa.PrivateKey)
}

func TestLaterCycles(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	first := d.JSON(network.ObserveDeviceView)
	d.Set(network.ControlTelemetryView, map[string]any{"sample-rate": nil, "monitor-peers": false})
	d.Set(network.ControlTunnelView, map[string]any{"peers": nil})
	run := d.once(t, 0)
	if got := strings.Count(run.Out.String(), "\n"); got != 2 {
		t.Errorf("output is\n%s", run.Out)
	}
	if registrations, _, _ := d.fleet.figures(); registrations != 1 {
		t.Errorf("%d registrations", registrations)
	}
	d.expect(t, first, network.ObserveDeviceView)
	// What somebody has unset stays unset.
	d.expect(t, `{"monitor-packets-received":false,"monitor-packets-sent":true,"monitor-peers":false}`,
		network.ControlTelemetryView)
	d.expect(t, `{"interface":"eth0"}`, network.ControlTunnelView)
	if counts := run.Counter.Counts(); counts.Writes() != 1 {
		t.Errorf("a later cycle took %+v, want one write", counts)
	}
}

func TestDefaultsKeepWhatIsSet(t *testing.T) {
	d := newDevice(t)
	d.Set(network.ControlInterfacesView, map[string]any{"config.wlan0.ip-address": "10.1.1.1",
		"config.usb0.interface-type": "ethernet"})
	d.Set(network.ControlTelemetryView, map[string]any{"monitor-peers": false, "sample-rate": 0})
	d.Set(network.ControlDeviceView, map[string]any{"server-url": "http://127.0.0.1:9000"})
	d.once(t, 0)
	d.expect(t, `{"config":{"eth0":{"interface-type":"ethernet","ip-address":"172.16.0.3"},`+
		`"usb0":{"interface-type":"ethernet"},"wlan0":{"interface-type":"wifi","ip-address":"10.1.1.1"}}}`,
		network.ControlInterfacesView, "config")
	d.expect(t, `{"monitor-packets-received":false,"monitor-packets-sent":true,"monitor-peers":false,"sample-rate":0}`,
		network.ControlTelemetryView)
	d.expect(t, `{"server-url":"http://127.0.0.1:9000"}`, network.ControlDeviceView)
}

// TestLostRegistry gives a registered device an empty registry: it is configured and itself again, and not registered
// once more.
func TestLostRegistry(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	identity := d.JSON(network.ObserveDeviceView)
	d.Store = rolestest.New(t)
	d.once(t, 0)
	if registrations, _, _ := d.fleet.figures(); registrations != 1 {
		t.Errorf("%d registrations", registrations)
	}
	d.expect(t, identity, network.ObserveDeviceView)
	d.expect(t, defaultConfig, network.ControlInterfacesView, "config")
}

// TestInterrupted ends a run at the moment the server has registered the device: the next one does not register again.
func TestInterrupted(t *testing.T) {
	d := newDevice(t)
	var run *rolestest.Run
	answered := make(chan struct{})
	interrupted := make(chan struct{})
	d.fleet.before = func(path string, _ *http.Request) {
		if path == "/register/" {
			close(answered)
			<-interrupted
		}
	}
	run = d.start("--once")
	<-answered
	run.Interrupt()
	close(interrupted)
	if code := run.Wait(); code != 1 || !strings.Contains(run.Err.String(), "interrupted") {
		t.Errorf("exit status %d: %s", code, run.Err)
	}
	d.expect(t, "cannot get "+network.AccountID+"/network/observe-device: no data", network.ObserveDeviceView)
	d.fleet.before = nil
	d.once(t, 0)
	if registrations, polls, _ := d.fleet.figures(); registrations != 1 || polls != 1 {
		t.Errorf("%d registrations, %d polls", registrations, polls)
	}
}

// TestServerAway counts on while the server is away, tries it ever less often, and says each thing once.
func TestServerAway(t *testing.T) {
	for _, how := range []string{"away", "hangs"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(t)
				d.fleet.away, d.fleet.hangs = how == "away", how == "hangs"
				run := d.start("--interval", "2s")
				time.Sleep(20*time.Minute + time.Second)
				synctest.Wait()
				if cycles := strings.Count(run.Out.Take(), "eth0: "); cycles != 601 {
					t.Errorf("%d cycles in 20 minutes, want 601", cycles)
				}
				if _, _, asked := d.fleet.figures(); asked < 8 || asked > 25 {
					t.Errorf("%d tries in 20 minutes", asked)
				}
				if log := run.Err.Take(); strings.Count(log, "server not reached") != 1 {
					t.Errorf("log is\n%s", log)
				}
				d.fleet.change(func(f *fleet) { f.away, f.hangs = false, false })
				time.Sleep(6 * time.Minute)
				synctest.Wait()
				if log := run.Err.Take(); !strings.Contains(log, "server reached again") {
					t.Errorf("log is\n%s", log)
				}
				if registrations, polls, _ := d.fleet.figures(); registrations != 1 || polls < 10 {
					t.Errorf("%d registrations, %d polls", registrations, polls)
				}
				if code := run.Stop(); code != 0 {
					t.Errorf("exit status %d", code)
				}
			})
		})
	}
	d := newDevice(t)
	d.fleet.away = true
	run := d.once(t, 1)
	if !strings.Contains(run.Err.String(), "connection refused") || !strings.Contains(run.Out.String(), "eth0: ") {
		t.Errorf("once: output %q, error %q", run.Out, run.Err)
	}
}

// TestStatusRevoked: status says that the server has turned the device away, until it takes its polls again.
func TestStatusRevoked(t *testing.T) {
	d := newDevice(t)
	status := func(want int, said string, times int) {
		t.Helper()
		run := d.Start(d.fleet.role(), rolestest.Options{}, "control", "status", "--state", d.dir)
		if code := run.Wait(); code != want || strings.Count(run.Out.String()+run.Err.String(), said) != times {
			t.Errorf("exit status %d, want %d and %q %d times: %s%s", code, want, said, times, run.Out, run.Err)
		}
	}
	d.once(t, 0)
	status(0, "evoked", 0)
	d.fleet.change(func(f *fleet) { f.revoked = true })
	d.once(t, 1)
	status(1, "an operator has revoked this device: http://127.0.0.1:8000 gives it no targets", 1)
	status(1, "Revoked     http://127.0.0.1:8000 takes no polls from this device, since 20", 1)
	d.fleet.change(func(f *fleet) { f.away = true })
	d.once(t, 1)
	status(1, "an operator has revoked this device", 1)
	d.fleet.change(func(f *fleet) { f.revoked, f.away = false, false })
	d.once(t, 0)
	status(0, "evoked", 0)
}

// TestForgotten has the server lose the device: it registers again, and not again and again.
func TestForgotten(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	before := d.JSON(network.ObserveDeviceView)
	d.fleet.change(func(f *fleet) { f.known = nil })
	d.once(t, 0)
	if registrations, polls, _ := d.fleet.figures(); registrations != 2 || polls != 3 {
		t.Errorf("%d registrations, %d polls", registrations, polls)
	}
	if d.JSON(network.ObserveDeviceView) == before {
		t.Error("the registry still shows the old registration")
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		d.fleet.before = func(string, *http.Request) { d.fleet.change(func(f *fleet) { f.known = nil }) }
		run := d.start("--interval", "10s")
		time.Sleep(time.Hour)
		if registrations, _, _ := d.fleet.figures(); registrations < 3 || registrations > 40 {
			t.Errorf("%d registrations in an hour with a server that forgets at once", registrations)
		}
		run.Stop()
	})
}

// TestOperations counts registry operations: a minute takes one update, which reads and writes the counters.
func TestOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		run := d.start()
		time.Sleep(90 * time.Second)
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		counts := run.Counter.Counts()
		if counts.Update != 10 || counts.UpdateWrote != 10 || counts.Get+counts.Set+counts.SetAll+counts.Status > 0 {
			t.Errorf("ten minutes took %+v, want 10 updates that write", counts)
		}
		if _, polls, _ := d.fleet.figures(); polls < 11 {
			t.Errorf("%d polls", polls)
		}
		run.Stop()
	})
	// Where changes are not announced, each of the other four views is read once in a cycle.
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		run := d.Start(d.fleet.role(), rolestest.Options{Plain: true}, "control", "run", "--state", d.dir)
		time.Sleep(90 * time.Second)
		run.Counter.Reset()
		time.Sleep(10 * time.Minute)
		if counts := run.Counter.Counts(); counts.Get != 50 || counts.Set != 10 || counts.Watch != 0 {
			t.Errorf("ten minutes took %+v, want 50 reads and 10 writes", counts)
		}
		run.Stop()
	})
}

// TestServerMoved follows a server-url that somebody sets while the role runs, and one that cannot be used.
func TestServerMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t)
		var host string
		d.fleet.before = func(_ string, request *http.Request) { d.fleet.change(func(*fleet) { host = request.URL.Host }) }
		run := d.start("--interval", "10s")
		time.Sleep(15 * time.Second)
		d.Set(network.ControlDeviceView, map[string]any{"server-url": "http://192.0.2.1:81/"})
		time.Sleep(10 * time.Second)
		d.fleet.change(func(*fleet) {
			if host != "192.0.2.1:81" {
				t.Errorf("the server asked is %s", host)
			}
		})
		d.Set(network.ControlDeviceView, map[string]any{"server-url": "ftp://example.com"})
		time.Sleep(100 * time.Second)
		if log := run.Err.Take(); strings.Count(log, "ftp://example.com") != 1 {
			t.Errorf("log is\n%s", log)
		}
		d.Set(network.ControlDeviceView, map[string]any{"server-url": nil})
		time.Sleep(100 * time.Second)
		if log := run.Err.Take(); strings.Count(log, "no server-url is set") != 1 {
			t.Errorf("log is\n%s", log)
		}
		run.Stop()
	})
}

func TestWrongUsage(t *testing.T) {
	for _, words := range []string{"--source wire", "--seed x", "--server-url ftp://x", "--interval 0s", "now"} {
		d := newDevice(t)
		d.once(t, 2, strings.Fields(words)...)
	}
}

// TestLeftovers: what a killed process was about to write goes, unless its owner may be alive.
func TestLeftovers(t *testing.T) {
	d := newDevice(t)
	for _, name := range []string{".device.json.1", ".device-key.pem.23", ".device.json.bak"} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := func() []string {
		list, err := filepath.Glob(filepath.Join(d.dir, ".*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	lock := flock.New(filepath.Join(d.dir, "device.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := (&state.Dir{Path: d.dir}).Tidy(); err != nil || len(left()) != 3 {
		t.Errorf("while the directory is in use: %v, left %q", err, left())
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	d.once(t, 0)
	if got := left(); len(got) != 1 || filepath.Base(got[0]) != ".device.json.bak" {
		t.Errorf("left %q", got)
	}
}

// TestDamagedState: a registration that cannot be read is not replaced by another one.
func TestDamagedState(t *testing.T) {
	d := newDevice(t)
	d.once(t, 0)
	path := filepath.Join(d.dir, "device.json")
	if err := os.WriteFile(path, []byte(`{"registration":`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Store = rolestest.New(t)
	d.Set(network.ControlDeviceView, map[string]any{"server-url": "http://127.0.0.1:8000"})
	run := d.once(t, 1)
	if !strings.Contains(run.Err.String(), path) {
		t.Errorf("the file is not named: %s", run.Err)
	}
	if told := strings.Count(run.Err.String(), path); told != 1 {
		t.Errorf("told %d times: %s", told, run.Err)
	}
	if registrations, _, _ := d.fleet.figures(); registrations != 1 {
		t.Errorf("%d registrations", registrations)
	}
}

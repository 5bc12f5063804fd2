package roles_test

import (
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/vpn"
)

// TestIdleDevice counts what all roles together ask of confdb in the snaps of a device on which nothing happens: at most
// three reads and no write in any minute. (The vpn role's changes by chance are what happens on a device that is not
// idle.)
func TestIdleDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := rolestest.New(t)
		// A server that nobody is: control must not find one of this machine's.
		store.Set(network.ControlDeviceView, map[string]any{"server-url": "http://127.0.0.1:1"})
		dir := t.TempDir()
		options := rolestest.Options{Hooks: true, Env: map[string]string{"SNAP_COMMON": dir}}
		var runs []*rolestest.Run
		start := func(role roles.Role, words ...string) {
			runs = append(runs, store.Start(role, options, append([]string{role.Name, "run"}, words...)...))
			time.Sleep(7 * time.Second)
		}
		start(control.Role)
		start(vpn.Role, "--drop-rate", "0", "--join-rate", "0")
		start(reporting.Role)
		time.Sleep(2 * time.Minute)
		for _, run := range runs {
			run.Counter.Reset()
		}
		const minutes = 60
		total := 0
		for minute := range minutes {
			time.Sleep(time.Minute)
			synctest.Wait()
			reads := 0
			for _, run := range runs {
				counts := run.Counter.Counts()
				reads += counts.Reads()
				if counts.Writes() > 0 {
					t.Errorf("minute %d: written %+v", minute, run.Counter.Operations())
				}
				run.Counter.Reset()
			}
			if reads > 3 {
				t.Errorf("minute %d took %d reads", minute, reads)
			}
			total += reads
		}
		if total == 0 || total > 2*minutes {
			t.Errorf("%d reads in %d minutes, want those of the counters, and some for safety", total, minutes)
		}
		t.Logf("%d reads in %d minutes", total, minutes)
		for _, run := range runs {
			if code := run.Stop(); code != 0 {
				t.Errorf("exit status %d: %s", code, run.Err)
			}
		}
	})
}

// TestHints: what somebody else writes is noticed at once, although nothing is polled.
func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := rolestest.New(t)
		store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 2})
		store.Set(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1"}})
		options := rolestest.Options{Hooks: true, Env: map[string]string{"SNAP_COMMON": t.TempDir()}}
		reports := store.Start(reporting.Role, options, "reporting", "run")
		tunnel := store.Start(vpn.Role, options, "vpn", "run", "--drop-rate", "0", "--join-rate", "0")
		time.Sleep(10 * time.Second)
		reports.Out.Take()
		tunnel.Out.Take()
		store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 6})
		store.Set(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.1", "10.0.0.2"}})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := reports.Out.Take(); got == "" {
			t.Errorf("no report at once; log is\n%s", reports.Err)
		}
		if got := tunnel.Out.Take(); got != "Tunnel changed elsewhere: 10.0.0.2 joined.\n" {
			t.Errorf("vpn said %q", got)
		}
		reports.Stop()
		tunnel.Stop()
	})
}

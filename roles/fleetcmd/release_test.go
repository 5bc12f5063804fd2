package fleetcmd_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// TestReleaseHeldBy: status names the first devices for which a release waits, and says how to list them all.
func TestReleaseHeldBy(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	var devices []uuid.UUID
	for range 7 {
		devices = append(devices, w.register(fleet.Active, nil))
	}
	if code, _, stderr := w.fleet("rename", devices[3].String(), "lobby"); code != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(w.env["HOME"], "release.yaml")
	writeFile(t, file, "stages:\n- percent: 100\n")
	if code, _, stderr := w.fleet("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "-f", "-", "--release", file); code != 0 {
		t.Fatal(stderr)
	}
	said := func(want string) {
		t.Helper()
		if code, stdout, stderr := w.fleet("release", "status"); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, %q is missing in %s%s", code, want, stdout, stderr)
		}
	}
	said("\nYet to apply it: 10000000-0000, 11000000-0000, 20000000-0000, lobby, 30000000-0000 and 2 more; " +
		"aspects-poc fleet devices --state behind, or new, lists them\n")
	_, stdout, _ := w.fleet("release", "status", "-o", "json")
	var of serverapi.Release
	if err := json.Unmarshal([]byte(stdout), &of); err != nil || len(of.HeldBy) != 1 || of.HeldBy[0].Outcome != "waiting" || of.HeldBy[0].Devices != 7 ||
		len(of.HeldBy[0].Some) != 5 || of.HeldBy[0].Names[devices[3]] != "lobby" {
		t.Errorf("%v, %+v", err, of.HeldBy)
	}
	for _, id := range devices[:5] {
		w.poll(id, `{"control-telemetry":{"sample-rate":4}}`, fleet.Applied, "")
	}
	said("\nYet to apply it: 31000000-0000, 40000000-0000\n")
}

// TestWhyOfRelease: why names the revision that set the value which a device has, also while a release withholds a later one.
func TestWhyOfRelease(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	canary, waits := w.register(fleet.Active, fleet.Labels{"stage": "canary"}), w.register(fleet.Active, nil)
	file := filepath.Join(w.env["HOME"], "release.yaml")
	writeFile(t, file, "stages:\n- selector: stage=canary\n- percent: 100\n")
	w.must("<config: {control-telemetry: {sample-rate: 5, monitor-peers: true}}", "edit", "everyone", "-f", "-")
	w.must("<config: {control-telemetry: {sample-rate: 8, monitor-peers: true}}", "edit", "everyone", "-f", "-", "--release", file)
	for _, want := range []struct {
		device     uuid.UUID
		rate, made int64
	}{{waits, 5, 1}, {canary, 8, 2}} {
		var list []struct{ Target, Revision int64 }
		out := w.must("why", want.device.String(), "control-telemetry.sample-rate", "-o", "json")
		err := json.Unmarshal([]byte(out), &list)
		if err != nil || len(list) != 1 || list[0].Target != want.rate || list[0].Revision != want.made {
			t.Errorf("%v, want %d from revision %d: %s", err, want.rate, want.made, out)
		}
	}
}

package fleetcmd_test

import (
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/server/fleet"
)

// TestRemoveLayer: remove says what changes, asks, and removes what nobody has changed; restore brings the layer back.
func TestRemoveLayer(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	w.register(fleet.Active, fleet.Labels{"site": "berlin"})
	for layer, text := range map[string]string{"everyone": "<config: {control-telemetry: {sample-rate: 4}}",
		"labels/berlin": "<{selector: site=berlin, config: {control-telemetry: {sample-rate: 6}}}"} {
		if code, _, stderr := w.fleet(text, "edit", layer, "-f", "-"); code != 0 {
			t.Fatal(stderr)
		}
	}
	removes := func(code int, stdout, stderr string, args ...string) {
		t.Helper()
		got, out, errs := w.fleet(append([]string{"remove"}, args...)...)
		if got != code || out != stdout || !strings.HasPrefix(errs, stderr) {
			t.Errorf("remove %q: exit %d, %q, %q", args, got, out, errs)
		}
	}
	const says = "the removal of labels/berlin changes the targets of 1 device\n  ~ control-telemetry.sample-rate: 6 -> 4\n"
	removes(0, says, "", "labels/berlin", "--dry-run")
	removes(roles.ExitUsage, says, "error: nobody can be asked here", "labels/berlin")
	removes(1, "", "error: there is no layer labels/potsdam", "labels/potsdam")
	removes(roles.ExitUsage, "", `error: "berlin" is no layer`, "berlin")
	removes(0, says, "The layer labels/berlin is removed. To bring it back: aspects-poc fleet restore ", "labels/berlin", "--yes")
	removes(1, "", "error: there is no layer labels/berlin", "labels/berlin", "--yes")
	removes(0, "everyone\n", "The layer everyone is removed", "everyone", "--yes", "-o", "name")
	if code, stdout, stderr := w.fleet("targets", "-o", "name"); code != 0 || stdout != "" {
		t.Errorf("left: exit %d, %q, %s", code, stdout, stderr)
	}
	_, stdout, _ := w.fleet("history", "labels/berlin", "-o", "name")
	revisions := strings.Fields(stdout)
	set, removed := revisions[len(revisions)-1], revisions[0]
	for _, step := range []struct{ revision, want string }{
		{removed, "there is no layer labels/berlin, as in revision " + removed + "; nothing is changed\n"},
		{set, "labels/berlin is as in revision " + set + " again: revision 5; it changes the targets of 1 device\n"},
		{removed, "labels/berlin is removed, as in revision " + removed + ": revision 6; it changes the targets of 1 device\n"},
	} {
		if out := w.must("restore", step.revision); out != step.want {
			t.Errorf("restore %s says %q, want %q", step.revision, out, step.want)
		}
	}
}

// TestDeleteDevice: delete asks, says which devices can come back, and goes on after a failure.
func TestDeleteDevice(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	for range 3 {
		w.register(fleet.Active, nil)
	}
	if code, _, stderr := w.fleet("rename", "20", "lobby"); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := w.fleet("revoke", "11"); code != 0 {
		t.Fatal(stderr)
	}
	count := func() int {
		_, stdout, _ := w.fleet("devices", "-o", "name")
		return strings.Count(stdout, "\n")
	}
	code, _, stderr := w.fleet("delete", "lobby", "11")
	if code != roles.ExitUsage || !strings.HasPrefix(stderr, "Not revoked: lobby. If it still runs, it registers again") || count() != 3 {
		t.Errorf("nobody to ask: exit %d, %s", code, stderr)
	}
	if code, _, stderr := w.fleet("delete", "lobby", "nowhere", "-y"); code != 1 || count() != 3 {
		t.Errorf("an unknown device: exit %d, %s", code, stderr)
	}
	code, stdout, stderr := w.fleet("delete", "11", "11", "--yes", "-o", "name")
	if code != 0 || stdout != "11000000-0000-4000-8000-000000000002\n" || stderr != "" || count() != 2 {
		t.Errorf("a revoked device, named twice: exit %d, %s, %s", code, stdout, stderr)
	}
	if code, stdout, stderr := w.fleet("delete", "lobby", "10", "-y"); code != 0 || !strings.Contains(stdout, "lobby") || count() != 0 {
		t.Errorf("two devices: exit %d, %s, %s", code, stdout, stderr)
	}
	if code, stdout, stderr := w.fleet("audit", "--thing", "devices", "-o", "json"); code != 0 || strings.Count(stdout, `"verb": "delete"`) != 3 {
		t.Errorf("the audit log has %s %s", stdout, stderr)
	}
	w.register(fleet.Active, nil)
	code, stdout, stderr = w.fleet("<"+w.tokens["otto"], "delete", "21", "-y", "--server-url", w.url, "--token-file", "-")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "cannot delete the device: ") || !strings.Contains(stderr, "403") {
		t.Errorf("an operator: exit %d, %s, %s", code, stdout, stderr)
	}
}

package fleetcmd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"
)

// keyFiles makes an SSH key. It returns its file, that of allowed signers, and the keys.
func keyFiles(t *testing.T) (key, operators string, keys signed.Keys) {
	t.Helper()
	keygen := need.Program(t, "ssh-keygen")
	key = filepath.Join(t.TempDir(), "anna")
	if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	text := "anna@example.com " + string(public)
	if keys, err = signed.ParseKeys([]byte(text)); err != nil {
		t.Fatal(err)
	}
	operators = key + ".signers"
	writeFile(t, operators, text)
	return key, operators, keys
}

// must runs a command that succeeds, and returns what it prints.
func (w *world) must(args ...string) string {
	w.t.Helper()
	code, out, errs := w.fleet(args...)
	if code != 0 {
		w.t.Fatalf("%v: exit status %d\n%s%s", args, code, out, errs)
	}
	return out
}

// TestExportPresent: what fleet export writes is the target that the device should have at that moment, whatever a release makes of
// the layers that were signed.
func TestExportPresent(t *testing.T) {
	t.Parallel()
	key, operators, keys := keyFiles(t)
	w := loggedIn(t)
	device := w.signs(1, keys, nil)
	plan := filepath.Join(t.TempDir(), "release.yaml")
	writeFile(t, plan, "stages:\n- selector: stage=canary\n- percent: 100\n")
	canary := w.signs(2, keys, fleet.Labels{"stage": "canary"})
	exports := func(device *signedDevice, rate string) {
		t.Helper()
		var offer serverapi.Offer
		out := w.must("export", device.id.String())
		if err := json.Unmarshal([]byte(out), &offer); err != nil {
			t.Fatal(err)
		}
		view, err := w.rules.Device(t.Context(), device.id)
		if want := view.Target.Revision; err != nil || !strings.Contains(out, rate) || offer.Revision != want || offer.Hash != view.Target.Hash {
			t.Errorf("%v; the export has revision %d, want %d and %s:\n%s", err, offer.Revision, want, rate, out)
		}
		if _, err := device.guard.Accept(offer.Signed, device.key, offer.Config, time.Unix(0, 0)); err != nil {
			t.Errorf("the device refuses the export: %v", err)
		}
	}
	sign := func(args ...string) {
		t.Helper()
		w.must(append([]string{"sign", "--key", key, "--yes"}, args...)...)
	}
	release := func(rate string) {
		t.Helper()
		w.must("<config: {control-telemetry: {sample-rate: "+rate+"}}", "edit", "everyone", "-f", "-", "--release", plan, "--allow-refusals")
	}
	w.must("<config: {control-telemetry: {sample-rate: 5}}", "edit", "everyone", "-f", "-", "--allow-refusals")
	sign("--init", "--operator-keys", operators)
	exports(device, `"sample-rate":5`)

	release("8")
	sign("--allow-undo")
	exports(device, `"sample-rate":5`) // it waits
	exports(canary, `"sample-rate":8`)
	w.must("release", "undo")
	exports(canary, `"sample-rate":5`)
	exports(device, `"sample-rate":5`)

	// Without a way back there is nothing to export after an undo.
	release("9")
	sign()
	w.must("release", "undo")
	code, out, errs := w.fleet("export", device.id.String())
	if want := "nobody has signed the target that this device should have now"; code != 1 || out != "" || !strings.Contains(errs, want) {
		t.Errorf("exit status %d, %q is missing: %s%s", code, want, out, errs)
	}
}

package fleetcmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi/signed"

	"github.com/google/uuid"
)

// A signedDevice applies only what is signed.
type signedDevice struct {
	id    uuid.UUID
	key   string
	guard signed.Guard
}

// signs makes a device with keys of operators.
func (w *world) signs(number int, keys signed.Keys, labels fleet.Labels) *signedDevice {
	w.t.Helper()
	device := &signedDevice{key: fmt.Sprintf("%043d", number), guard: signed.Guard{Keys: keys}}
	known, err := w.rules.RegisterSigning(w.t.Context(), fleet.Identity{IPAddress: "192.0.2.1", Arch: "arm64", PublicKeyRSA: fmt.Sprint("signing ", number)},
		device.key, labels, fleet.Active)
	if err != nil {
		w.t.Fatal(err)
	}
	device.id = known.ID
	return device
}

// asks polls for a device, and returns the target that it applies; "" if none is offered.
func (w *world) asks(device *signedDevice) string {
	w.t.Helper()
	answer, err := w.rules.Poll(w.t.Context(), device.id, fleet.Poll{Report: true, Config: fleet.Config{}})
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.Offer == nil {
		return ""
	}
	tree, err := answer.Offer.Config.Tree()
	if err != nil {
		w.t.Fatal(err)
	}
	next, err := device.guard.Accept(answer.Offer.Signing.Evidence, device.key, tree, time.Unix(0, 0))
	if err != nil {
		w.t.Errorf("the device refuses what the server offers: %v", err)
		return ""
	}
	device.guard = next
	return answer.Offer.Config.String()
}

// TestSign signs with ssh-keygen what devices then take: layers, labels, secrets and keys.
func TestSign(t *testing.T) {
	keygen := need.Program(t, "ssh-keygen")
	w := loggedIn(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ops, both := "", ""
	for _, who := range []string{"anna", "berta"} {
		if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", file(who)).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		public, err := os.ReadFile(file(who + ".pub"))
		if err != nil {
			t.Fatal(err)
		}
		both += who + "@example.com " + string(public)
		if who == "anna" {
			ops = both
		}
	}
	writeFile(t, file("ops"), ops)
	writeFile(t, file("both"), both)
	writeFile(t, file("vpn"), "hunter2\n")
	keys, err := signed.ParseKeys([]byte(ops))
	if err != nil {
		t.Fatal(err)
	}
	one, two := w.signs(1, keys, fleet.Labels{"site": "berlin"}), w.signs(2, keys, nil)
	edit := func(layer, text string) {
		t.Helper()
		if code, out, errs := w.fleet("<"+text, "edit", layer, "--file", "-", "--allow-refusals"); code != 0 {
			t.Fatal(out, errs)
		}
	}
	try := func(want string, code int, args ...string) {
		t.Helper()
		got, out, errs := w.fleet(append([]string{"sign"}, args...)...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Fatalf("sign %v: exit status %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
		}
	}
	edit("everyone", `config: {control-telemetry: {sample-rate: 1000000007, monitor-peers: null}, control-tunnel: {peers: [10.0.0.7]}}`)
	edit("labels/berlin", `{selector: site=berlin, config: {control-telemetry: {sample-rate: 3}}}`)
	fails := func(want string, args ...string) {
		t.Helper()
		before, err := w.rules.LastChange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		code, out, errs := w.fleet(args...)
		if after, err := w.rules.LastChange(t.Context()); code == 0 || !strings.Contains(errs, want) || err != nil || after != before {
			t.Errorf("%v: exit status %d, want %q, and revision %d as before, not %d\n%s%s", args, code, want, before, after, out, errs)
		}
	}
	writeFile(t, file("early/everyone.yaml"), "config: {control-telemetry: {sample-rate: 9}}\n")
	fails("nothing is changed: nothing is signed in this fleet yet", "apply", file("early"), "--sign", "--key", file("anna"), "--yes", "--allow-refusals")
	try("begin with", 1)
	try("wants --operator-keys", 2, "--init")
	try("give --yes", 2, "--init", "--operator-keys", file("ops"), "--key", file("anna"))
	try("its signer is not allowed", 1, "--init", "--operator-keys", file("ops"), "--key", file("berta"), "--yes")
	try("statement 1 has the targets of 2 devices", 0, "--init", "--operator-keys", file("ops"), "--dry-run")
	try("statement 1 is signed by anna@example.com", 0, "--init", "--operator-keys", file("ops"), "--key", file("anna"), "--yes")
	if got := w.asks(one); !strings.Contains(got, `"sample-rate":3`) {
		t.Error(got)
	}
	if got := w.asks(two); !strings.Contains(got, `"sample-rate":1000000007`) {
		t.Error(got)
	}
	if code, out, _ := w.fleet("why", one.id.String()); code != 0 || !strings.Contains(out, "statement 1, by anna@example.com") {
		t.Error(out)
	}

	// What is not signed is not offered: another value, another label, a secret, a device that is new.
	edit("labels/berlin", `{selector: site=berlin, config: {control-telemetry: {sample-rate: 4}}}`)
	late := w.signs(3, keys, nil)
	if code, _, errs := w.fleet("label", two.id.String(), "site=berlin"); code != 0 {
		t.Fatal(errs)
	}
	for _, device := range []*signedDevice{one, two, late} {
		if got := w.asks(device); got != "" {
			t.Errorf("device %s applies what nobody has signed: %s", device.id, got)
		}
	}
	if _, out, _ := w.fleet("devices"); !strings.Contains(out, "behind, not signed") {
		t.Error(out)
	}
	if _, out, _ := w.fleet("status", "-l", "site=berlin"); !strings.Contains(out, "Needs a person:\n  2 not signed: ") {
		t.Error(out)
	}
	if code, out, errs := w.fleet("<hunter2", "secret", "set", "vpn"); code != 0 {
		t.Fatal(out, errs)
	}
	edit("devices/"+one.id.String(), `config: {control-tunnel: {secret-key: {$secret: vpn}}}`)
	try("the secret vpn was never signed", 1, "--key", file("anna"), "--yes")
	try("labels/berlin for site=berlin, priority 0:\n  ~ control-telemetry.sample-rate: 3 -> 4", 0, "--secret", "vpn="+file("vpn"), "--dry-run")
	try("labels - -> site=berlin", 0, "--secret", "vpn="+file("vpn"), "--dry-run")
	try("statement 2 is signed", 0, "--key", file("anna"), "--secret", "vpn="+file("vpn"), "--operator-keys", file("both"), "--yes", "--sign-again", "720h")
	if got := w.asks(one); !strings.Contains(got, `"secret-key":"hunter2"`) {
		t.Error(got)
	}
	if out := w.must("export", one.id.String(), "--secret", "vpn="+file("vpn")); !strings.Contains(out, `"secret-key":"hunter2"`) {
		t.Error(out)
	}
	fails("is the value of a secret another one than was signed?", "export", one.id.String(), "--secret", "vpn="+file("ops"))
	if got := w.asks(two); !strings.Contains(got, `"sample-rate":4`) {
		t.Error(got)
	}
	if w.asks(late) == "" || late.guard.SignAgain == 0 {
		t.Error("the new device gets nothing, or no time")
	}

	// Berta may sign now; her machine has no record. A wrong value of a secret is one that no device gets.
	home := w.env["HOME"]
	w.env["HOME"] = t.TempDir()
	w.env["ASPECTS_SERVER_URL"] = w.url
	writeFile(t, file("token"), w.tokens["anna"])
	w.env["ASPECTS_TOKEN_FILE"] = file("token")
	try("nothing was signed from this machine before", 2, "--key", file("berta"), "--yes")
	try("statement 3 is signed by berta@example.com", 0, "--key", file("berta"), "--operator-keys", file("both"), "--yes", "--allow-undo")
	if code, out, errs := w.fleet("<hunter3", "secret", "set", "vpn"); code != 0 {
		t.Fatal(out, errs)
	}
	try("the secret vpn has changed since it was signed", 1, "--key", file("berta"), "--yes")
	const missed = "the server does not offer 1 device what is signed: the value that was signed of the secret vpn is probably not the server's; " +
		"sign again with the server's value, --secret vpn=FILE"
	try("warning: "+missed, 0, "--key", file("berta"), "--secret", "vpn="+file("vpn"), "--yes")
	try("nothing has changed since statement 4\n! "+missed, 0, "--dry-run")
	if got := w.asks(one); got != "" {
		t.Error("the device gets another secret than the operator signed")
	}
	writeFile(t, file("present"), "hunter3\n")
	if out := w.must("sign", "--key", file("berta"), "--secret", "vpn="+file("present"), "--dry-run"); strings.Contains(out, "does not offer") {
		t.Error(out)
	}
	if w.asks(two) == "" || two.guard.Signer != "berta@example.com" {
		t.Error(two.guard)
	}

	// A folder that is applied and signed; a server that keeps another layer is found out.
	writeFile(t, file("fleet/labels/berlin.yaml"), "selector: site=berlin\nconfig: {control-telemetry: {sample-rate: 8}}\n")
	if code, _, errs := w.fleet("apply", file("fleet"), "--sign"); code != 2 || !strings.Contains(errs, "--key FILE") {
		t.Error(code, errs)
	}
	if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", file("eve")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	half, err := os.ReadFile(file("anna.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("half"), string(half))
	applied := []string{"apply", file("fleet"), "--sign", "--yes", "--allow-refusals", "--key"}
	fails("nothing is changed: the key "+file("eve")+" is none of those that may sign here", append(applied, file("eve"))...)
	fails("nothing is changed: cannot sign: ssh-keygen failed", append(applied, file("nobody"))...)
	fails("nothing is changed: cannot sign: ssh-keygen failed", append(applied, file("half"))...) // whose other half no agent has
	if code, out, errs := w.fleet("apply", file("fleet"), "--sign", "--key", file("berta"), "--yes", "--allow-refusals"); code != 0 ||
		!strings.Contains(out, "statement 5 is signed by berta@example.com") {
		t.Error(code, out, errs)
	}
	if got := w.asks(two); !strings.Contains(got, `"sample-rate":8`) {
		t.Error(got)
	}

	// Anna's machine sees what Berta has signed; after --end it knows that the server has lost it.
	w.env = map[string]string{"HOME": home}
	try("nothing has changed since statement 5", 0, "--dry-run")
	fails("give --yes", "sign", "--end")
	try("number 5, signed by berta@example.com, with the targets of 3 devices", 0, "--end", "--dry-run")
	try("nothing has changed since statement 5", 0, "--dry-run")
	try("All statements are removed from the server", 0, "--end", "--yes")
	fails("there is nothing to remove", "sign", "--end", "--yes")
	try("nothing is signed in this fleet since fleet sign --end was given here", 1, "--dry-run")
	writeFile(t, file("anna only"), ops)
	try("statement 6 is signed by anna@example.com", 0, "--init", "--operator-keys", file("anna only"), "--key", file("anna"),
		"--secret", "vpn="+file("present"), "--yes")
	if w.asks(two) == "" || two.guard.Signer != "anna@example.com" { // it has seen statement 5, of the same fleet
		t.Error(two.guard)
	}
	// A server that has lost the statements after that is found out, also by --init.
	if err := w.rules.Unsign(t.Context(), "mallory"); err != nil {
		t.Fatal(err)
	}
	try("was restored from a backup", 1, "--dry-run")
	try("was restored from a backup", 1, "--init", "--operator-keys", file("ops"), "--dry-run")
	if code, _, errs := w.fleet("restore", "1"); code != 0 {
		t.Error(errs)
	}
}

// TestSignRefused: whoever may not sign here is told before anything is signed, and a statement that the server has refused is none of
// which this machine asks the server later.
func TestSignRefused(t *testing.T) {
	t.Parallel()
	key, operators, keys := keyFiles(t)
	w := loggedIn(t)
	w.signs(1, keys, nil)
	l := w.lies("otto")
	init := []string{"sign", "--init", "--operator-keys", operators, "--key", key, "--yes"}
	refused := func(want string, puts int, args ...string) {
		t.Helper()
		code, out, errs := w.fleet(args...)
		if code != 1 || !strings.Contains(errs, want) || l.seen["PUT /signature/"] != puts || (puts == 0 && out != "") {
			t.Errorf("exit status %d, %d statements sent, want %d and %q\n%s%s", code, l.seen["PUT /signature/"], puts, want, out, errs)
		}
	}
	refused("nothing is signed: this needs the role admin, as the statement says who may sign from then on. You are otto.", 0, init...)
	if code, out, errs := w.fleet("sign", "--init", "--operator-keys", operators, "--dry-run"); code != 0 || !strings.Contains(out, "statement 1 has") {
		t.Error(code, out, errs)
	}
	l.lie = func(path string, answer map[string]any) {
		if path == "GET /whoami/" {
			answer["role"] = "admin"
		}
	}
	refused("403 Forbidden", 1, init...)
	writeFile(t, w.env["ASPECTS_TOKEN_FILE"], w.tokens["anna"])
	if out := w.must(init...); !strings.Contains(out, "statement 2 is signed") { // 1 is never signed twice
		t.Error(out)
	}
	writeFile(t, w.env["ASPECTS_TOKEN_FILE"], w.tokens["screen"])
	l.lie = nil
	refused("this needs the role operator or admin", 2, "sign", "--key", key, "--yes")
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "everyone.yaml"), "config: {}\n")
	writeFile(t, w.env["ASPECTS_TOKEN_FILE"], w.tokens["otto"])
	l.lie = func(path string, answer map[string]any) { // as if otto had the devices of Berlin only
		if path == "GET /whoami/" {
			answer["scope"] = map[string]any{"site": "berlin"}
		}
	}
	refused("nothing is changed: this needs the role operator or admin, and a token without a scope", 2, "apply", folder, "--sign", "--key", key, "--yes")
	l.lie = nil
	if out := w.must("sign", "--key", key, "--yes"); !strings.Contains(out, "statement 3 is signed") {
		t.Error(out)
	}
}

// TestSignRestore refuses to restore a statement.
func TestSignRestore(t *testing.T) {
	w := loggedIn(t)
	if code, out, _ := w.fleet("history", "signature"); code != 0 {
		t.Error(out)
	}
	if code, _, errs := w.fleet("sign", "--end"); code == 0 {
		t.Error("nothing was signed", errs)
	}
}

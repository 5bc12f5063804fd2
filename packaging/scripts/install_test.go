// Package scripts has no code: it tests the shell scripts that users run, install.sh and the one that make assertion
// calls.
package scripts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/packaging/recipe/recipetest"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// A host is a machine as install.sh sees it: commands that answer as snapd's do, a folder for each state they keep, and
// a tree in the place of /.
type host struct {
	t                   *testing.T
	fake, root, from    string
	account, key, files string // headers of the assertions, and their folder
}

// newHost makes a machine with a current snapd, on which nothing is installed; the snaps and assertions wait in from.
func newHost(t *testing.T) *host {
	t.Helper()
	need.Programs(t, "bash", "awk", "timeout")
	h := &host{t: t, fake: t.TempDir(), root: t.TempDir(), from: t.TempDir(), account: network.AccountID,
		key: base64.RawURLEncoding.EncodeToString(make([]byte, 48))}
	h.files = h.from
	h.note("version", "2.77.1-2")
	h.note("features", "confdb-control true\nconfdb true")
	for _, name := range []string{"snap", "curl"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		h.note(filepath.Join("bin", name), string(text))
	}
	h.note("bin/id", "#!/bin/sh\ncat \"$FAKE/uid\" 2>/dev/null || echo 0\n")
	h.note("bin/dpkg", "#!/bin/sh\necho amd64\n")
	h.note("bin/sleep", "#!/bin/sh\necho \"sleep $*\" >>\"$FAKE/log\"\n") // nobody has to wait
	for role, project := range recipetest.Projects(t, root) {
		meta, err := project.SnapYAML("amd64")
		if err != nil {
			t.Fatal(err)
		}
		h.note(filepath.Join("meta", "aspects-poc-"+role+".yaml"), string(meta))
		h.write(filepath.Join(h.from, project.File("amd64")), "snap of "+role)
		h.write(filepath.Join(h.from, project.File("arm64")), "snap of "+role+" for others")
	}
	h.write(filepath.Join(h.from, "publisher.account"), h.assertion("account", nil))
	h.write(filepath.Join(h.from, "key.account-key"), h.assertion("account-key", map[string]any{"public-key-sha3-384": h.key}))
	h.write(filepath.Join(h.from, "network.confdb-schema.assert"), h.schema("confdb-schema"))
	return h
}

// schema is our confdb-schema as `snap sign` prints it, but for the signature.
func (h *host) schema(kind network.Dialect) string {
	h.t.Helper()
	document, err := network.Assertion(network.AssertionOptions{Account: h.account, Dialect: kind})
	if err != nil {
		h.t.Fatal(err)
	}
	var headers map[string]any
	if err := json.Unmarshal(document, &headers); err != nil {
		h.t.Fatal(err)
	}
	return h.assertion(string(kind), headers)
}

func (h *host) assertion(kind string, headers map[string]any) string {
	all := map[string]any{"authority-id": h.account, "account-id": h.account, "sign-key-sha3-384": h.key}
	maps.Copy(all, headers)
	body, _ := all["body"].(string)
	delete(all, "body")
	delete(all, "type")
	return "type: " + kind + "\n" + lay(all, "") + "\n" + body + "\n\nAcLBUgQAAQoABgUC\n"
}

// lay lays headers out as assertions have them.
func lay(value any, indent string) string {
	var text strings.Builder
	line := func(intro string, value any) {
		if scalar, ok := value.(string); ok {
			fmt.Fprintf(&text, "%s%s %s\n", indent, intro, scalar)
		} else {
			fmt.Fprintf(&text, "%s%s\n%s", indent, intro, lay(value, indent+"  "))
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			line(name+":", value[name])
		}
	case []any:
		for _, item := range value {
			line("-", item)
		}
	}
	return text.String()
}

func (h *host) write(path, text string) {
	h.t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) note(name, text string) { h.t.Helper(); h.write(filepath.Join(h.fake, name), text) }

// run runs install.sh and returns what it prints, and the commands that changed the machine or would, in their order.
func (h *host) run(wantCode int, args ...string) (stdout, stderr string, changes []string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.fake, "log")); err != nil {
		h.t.Fatal(err)
	}
	command := exec.CommandContext(h.t.Context(), "bash", append([]string{"install.sh"}, args...)...)
	command.Dir = root
	command.Env = []string{"FAKE=" + h.fake, "INSTALL_ROOT=" + h.root, "TMPDIR=" + h.t.TempDir(),
		"PATH=" + filepath.Join(h.fake, "bin") + ":" + os.Getenv("PATH")}
	var out, complaints strings.Builder
	command.Stdout, command.Stderr = &out, &complaints
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	if code := command.ProcessState.ExitCode(); code != wantCode {
		h.t.Fatalf("install.sh %v: exit code %d, want %d\n%s\n%s", args, code, wantCode, out.String(), complaints.String())
	}
	log, err := os.ReadFile(filepath.Join(h.fake, "log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatal(err)
	}
	changing := regexp.MustCompile(`^snap (set|unset|ack|install|connect|stop|remove) `)
	for line := range strings.Lines(string(log)) {
		if changing.MatchString(line) {
			changes = append(changes, strings.ReplaceAll(strings.TrimSpace(line), h.from+"/", ""))
		}
	}
	return out.String(), complaints.String(), changes
}

// left lists what is in a folder, such as "installed" or "data".
func (h *host) left(folder string) (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.fake, folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// plugs are the confdb plugs of a snap, and others that do not connect by themselves.
func plugs(t *testing.T, role string) (names []string) {
	for name, plug := range recipetest.Plugs(t, recipetest.Projects(t, root)[role]) {
		if plug.Interface != "network" && plug.Interface != "network-bind" {
			names = append(names, "aspects-poc-"+role+":"+name)
		}
	}
	slices.Sort(names)
	return names
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("not there: %q in\n%s", want, text)
		}
	}
}

func TestInstallFresh(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.note("slow", "3")
	stdout, stderr, changes := h.run(0, "--from", h.from)
	if stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
	want := []string{"snap set system experimental.confdb=true",
		"snap ack publisher.account", "snap ack key.account-key", "snap ack network.confdb-schema.assert"}
	for _, role := range []string{"server", "control", "vpn", "reporting"} {
		want = append(want, "snap install --dangerous aspects-poc-"+role+"_0.3_amd64.snap")
	}
	if diff := cmp.Diff(want, changes[:min(len(want), len(changes))]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The custodian's plugs come before all others, and none is left out.
	var connected []string
	for _, change := range changes[len(want):] {
		connected = append(connected, strings.TrimPrefix(change, "snap connect "))
	}
	custodian := len(plugs(t, "control"))
	slices.Sort(connected[:custodian])
	slices.Sort(connected[custodian:])
	others := slices.Sorted(slices.Values(slices.Concat(plugs(t, "server"), plugs(t, "vpn"), plugs(t, "reporting"))))
	if diff := cmp.Diff(append(plugs(t, "control"), others...), connected); diff != "" {
		t.Errorf("connected (-want +got):\n%s", diff)
	}
	contains(t, stdout, "Turning on experimental.confdb...\n",
		"Acknowledging account/"+h.account+" assertion...\nAcknowledging account-key/"+h.key+" assertion...\n"+
			"Acknowledging network.confdb-schema.assert assertion...\nInstalling aspects-poc-server...\n"+
			"aspects-poc-server 0.3 installed\nInstalling aspects-poc-control...\n",
		"Connecting aspects-poc-control:control-device...\n",
		h.account+"/network/control-telemetry answers\n", h.account+"/network/observe-tunnel answers: nothing is stored yet\n",
		"All 7 views answer.")

	// Once more: nothing changes, and the views are looked at again.
	stdout, _, changes = h.run(0, "--from", h.from)
	if changes != nil {
		t.Errorf("the second run changed: %q", changes)
	}
	contains(t, stdout, "Acknowledged before: account/"+h.account, "aspects-poc-vpn is installed (revision x1)", "All 7 views answer.")

	// A snap that was built anew takes the place of the old one.
	h.write(filepath.Join(h.from, "aspects-poc-vpn_0.3_amd64.snap"), "another one")
	_, _, changes = h.run(0, "--from="+h.from)
	if diff := cmp.Diff([]string{"snap install --dangerous aspects-poc-vpn_0.3_amd64.snap"}, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// snapd refuses to touch a snap while one of its hooks has part in a write; that passes, or does not.
func TestInstallWaitsForBusySnaps(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.note("fail", "^snap connect aspects-poc-reporting:observe-device")
	h.note("reason", `error: snap "aspects-poc-reporting" has "modify-confdb" change in progress`)
	h.note("times", "3")
	stdout, _, changes := h.run(0, "--from", h.from)
	contains(t, stdout, "All 7 views answer")
	if got := strings.Count(strings.Join(changes, "\n"), "snap connect aspects-poc-reporting:observe-device"); got != 4 {
		t.Errorf("tried %d times, want 4", got)
	}

	h = newHost(t)
	h.note("fail", "^snap connect aspects-poc-reporting:observe-device")
	h.note("reason", `error: snap "aspects-poc-reporting" has "modify-confdb" change in progress`)
	_, stderr, _ := h.run(1, "--from", h.from)
	contains(t, stderr, "cannot connect aspects-poc-reporting:observe-device", "snapd is busy with the snap")
}

func TestInstallFromStore(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	folder := t.TempDir()
	h.write(filepath.Join(folder, "network.confdb-schema.assert"), h.schema("confdb-schema"))
	h.note("store/account", h.assertion("account", nil))
	h.note("store/account-key", h.assertion("account-key", map[string]any{"public-key-sha3-384": h.key}))
	stdout, _, changes := h.run(0, "--assertions", folder, "--channel", "beta")
	contains(t, stdout, "Acknowledging account-key/"+h.key, "All 7 views answer.")
	if !slices.Contains(changes, "snap install --channel=beta aspects-poc-reporting") {
		t.Errorf("changes: %q", changes)
	}
	if _, _, changes = h.run(0, "--assertions", folder); changes != nil {
		t.Errorf("the second run changed: %q", changes)
	}
}

func TestInstallDryRun(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.note("uid", "1000") // to look, nobody has to be root
	stdout, _, changes := h.run(0, "--dry-run", "--from", h.from)
	if changes != nil || h.left("installed") != nil {
		t.Errorf("changed: %q", changes)
	}
	contains(t, stdout, "+ snap set system experimental.confdb=true\n", "+ snap ack "+h.from+"/publisher.account\n",
		"+ snap install --dangerous "+h.from+"/aspects-poc-server_0.3_amd64.snap\n", "+ snap connect aspects-poc-vpn:PLUG")
	h.note("uid", "0")
	h.run(0, "--from", h.from)
	stdout, _, changes = h.run(0, "--dry-run", "--uninstall")
	if changes != nil {
		t.Errorf("changed: %q", changes)
	}
	contains(t, stdout, "+ snap remove --purge aspects-poc-control\n", "+ snap unset system experimental.confdb\n",
		"+ snap unset "+h.account+"/network/control-telemetry sample-rate ")
}

func TestUninstall(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run(0, "--from", h.from)
	if h.left("data") == nil || h.left("connected") == nil {
		t.Fatal("nothing is there that could be left behind")
	}
	stdout, stderr, changes := h.run(0, "--uninstall")
	if stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
	for _, folder := range []string{"installed", "connected", "data"} {
		if names := h.left(folder); names != nil {
			t.Errorf("left in %s: %q", folder, names)
		}
	}
	if _, err := os.Stat(filepath.Join(h.fake, "flag")); err == nil {
		t.Error("the flag is still on")
	}
	if err := filepath.WalkDir(h.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (!entry.IsDir() || strings.Contains(path, "aspects-poc")) {
			t.Errorf("left behind: %s", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	contains(t, stdout, "Done. Assertions stay known to snapd")

	// Nobody writes again while it is unset; each view is unset in full before its custodian goes.
	stopped, removed := 0, len(changes)
	unset := map[string][]string{}
	for i, change := range changes {
		words := strings.Fields(change)
		switch words[1] {
		case "stop":
			stopped = i
		case "remove":
			removed = min(removed, i)
		case "unset":
			if words[2] == "system" {
				continue
			}
			if i < stopped || i > removed {
				t.Errorf("%s comes at %d, stops end at %d, removals begin at %d", change, i, stopped, removed)
			}
			unset[words[2]] = words[3:]
		}
	}
	if diff := cmp.Diff(writableRequests(t, h.account), unset); diff != "" {
		t.Errorf("unset (-want +got):\n%s", diff)
	}
	if last := slices.Index(changes, "snap remove --purge aspects-poc-control"); last != slices.IndexFunc(changes,
		func(change string) bool { return change == "snap unset system experimental.confdb" })-1 {
		t.Errorf("the custodian is not the last that goes: %q", changes)
	}

	// Once more: nothing is there, and that is no failure.
	if _, _, changes = h.run(0, "--uninstall"); changes != nil {
		t.Errorf("the second run changed: %q", changes)
	}
}

// writableRequests are the requests of our confdb-schema that can be written, by view, without what follows a placeholder.
func writableRequests(t *testing.T, account string) map[string][]string {
	t.Helper()
	var document struct {
		Views map[string]struct {
			Rules []struct{ Request, Access string }
		}
	}
	if err := json.Unmarshal(network.Document(account), &document); err != nil {
		t.Fatal(err)
	}
	requests := map[string][]string{}
	for name, view := range document.Views {
		id := account + "/" + network.Name + "/" + name
		for _, rule := range view.Rules {
			if rule.Access != "read" {
				request, _, _ := strings.Cut(rule.Request, ".{")
				requests[id] = append(requests[id], request)
			}
		}
	}
	return requests
}

// A flag that was on before, or that others need, stays on.
func TestUninstallKeepsOthersThings(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.note("flag", "confdb")
	h.run(0, "--from", h.from)
	_, _, changes := h.run(0, "--uninstall")
	if slices.Contains(changes, "snap unset system experimental.confdb") {
		t.Error("turned off a flag that somebody else turned on")
	}
	h = newHost(t)
	h.run(0, "--from", h.from)
	h.note("others", "confdb other-snap:view - -\n")
	stdout, _, changes := h.run(0, "--uninstall")
	if slices.Contains(changes, "snap unset system experimental.confdb") {
		t.Error("turned off a flag that another snap needs")
	}
	contains(t, stdout, "Leaving experimental.confdb on: other snaps plug confdb")
}

func TestUninstallCannotForget(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run(0, "--from", h.from)
	h.note("fail", "^snap unset .*/control-device")
	h.note("reason", "error: cannot perform the following tasks: - Run hook change-view-control-device (cust rejected changes: no)\n")
	_, stderr, changes := h.run(1, "--uninstall")
	contains(t, stderr, "Error: cannot unset what the views hold: cannot perform", "rejected changes: no", "--uninstall --keep-data")
	if slices.ContainsFunc(changes, func(change string) bool { return strings.HasPrefix(change, "snap remove") }) {
		t.Error("the custodian was removed, and the data is there for ever")
	}
	_, _, changes = h.run(0, "--uninstall", "--keep-data")
	if slices.ContainsFunc(changes, func(c string) bool { return strings.HasPrefix(c, "snap unset "+h.account) }) ||
		h.left("installed") != nil {
		t.Errorf("changes: %q", changes)
	}
}

func TestInstallOnOtherSnapds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, version, features string
		code                    int
		want                    []string
	}{
		{"2.61", "2.61.4", "", 1, []string{"snapd 2.61.4 has no confdb; these snaps need snapd 2.68 or later", "sudo snap refresh snapd"}},
		{"aspects", "2.63", "aspects-configuration true", 1, []string{"snapd 2.63 has no confdb"}},
		{"registries", "2.66.1+git123.gabcdef", "registries true", 1, []string{"snapd 2.66.1+git123.gabcdef has no confdb",
			"Nothing was changed."}},
		{"unsupported", "2.77.1", "confdb false", 1, []string{"snapd 2.77.1 does not support confdb on this system"}},
		{"stopped", "", "confdb true", 1, []string{"snapd does not answer", "sudo systemctl enable --now snapd.socket"}},
		{"data loss", "2.76.3", "confdb true", 0, []string{"Warning: snapd 2.76.3: below 2.77"}},
		{"no version", "unknown", "confdb true", 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.note("version", test.version)
			h.note("features", test.features)
			_, stderr, changes := h.run(test.code, "--from", h.from)
			contains(t, stderr, test.want...)
			if test.code != 0 && changes != nil {
				t.Errorf("changed: %q", changes)
			}
		})
	}
}

// snapd 2.68 has another flag and another type of assertion.
func TestInstallOnSnapd268(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.note("version", "2.68.3-3+deb13u1+b7")
	h.note("features", "confdbs true\n")
	h.note("no-debug", "") // older ones ask through curl
	_, stderr, changes := h.run(1, "--from", h.from)
	contains(t, stderr, "there is no confdb assertion")
	if diff := cmp.Diff([]string{"snap set system experimental.confdbs=true"}, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.write(filepath.Join(h.from, "network.confdb.assert"), h.schema("confdb"))
	_, _, changes = h.run(0, "--from", h.from)
	if changes[2] != "snap ack network.confdb.assert" {
		t.Errorf("changes: %q", changes)
	}
	_, _, changes = h.run(0, "--uninstall")
	if changes[len(changes)-1] != "snap unset system experimental.confdbs" || h.left("data") != nil {
		t.Errorf("changes: %q", changes)
	}
}

func TestInstallRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare func(h *host)
		code    int
		args    []string
		want    []string
	}{
		{"not root", func(h *host) { h.note("uid", "1000") }, 1, nil,
			[]string{"this needs root", "sudo install.sh --from "}},
		{"no assertions", func(h *host) { h.files = h.t.TempDir(); h.remove("network.confdb-schema.assert") }, 1, nil,
			[]string{"there is no confdb-schema assertion", "make assertion KEY=NAME ACCOUNT_ID=ID"}},
		{"no key", func(h *host) { h.remove("key.account-key") }, 1, nil,
			[]string{"cannot acknowledge", "cannot resolve prerequisite assertion: account-key", "snap known --remote account-key"}},
		{"two schemas", func(h *host) {
			h.write(filepath.Join(h.from, "old.assert"), h.schema("confdb-schema"))
		}, 1, nil, []string{"there are several confdb-schema assertions", "--assertions"}},
		{"connect fails", func(h *host) {
			h.note("fail", "^snap connect aspects-poc-vpn:")
			h.note("reason", `error: snap "snapd" has no "confdb" interface slots`)
		}, 1, nil, []string{"cannot connect aspects-poc-vpn:control-tunnel: snap \"snapd\" has no", "snap changes"}},
		{"install fails", func(h *host) {
			h.note("fail", "^snap install .*control")
			h.note("reason", `error: cannot install snap file: snap "aspects-poc-control" assumes unsupported features: snapd2.80`)
		}, 1, nil, []string{"cannot install", "This snapd is too old for it: sudo snap refresh snapd"}},
		{"no snap file", func(h *host) { h.remove("aspects-poc-vpn_0.3_amd64.snap") }, 1, nil,
			[]string{"there is no file of aspects-poc-vpn in", "make all builds"}},
		{"never registered", func(h *host) { h.note("slow", "1000") }, 1, []string{"--wait", "20"},
			[]string{"does not answer after 20 seconds: cannot get", "no data", "snap logs aspects-poc-control"}},
		{"views do not answer", func(h *host) {
			h.note("fail", "^snap get .*/control-t")
			h.note("reason", "error: cannot read confdb view x/network/control-tunnel: no custodian snap connected")
		}, 1, nil, []string{"Warning: ", "2 of 7 views do not answer", "Connect the custodian"}},
		{"unknown argument", func(*host) {}, 2, []string{"--purge"}, []string{"unknown argument --purge"}},
		{"no folder", func(*host) {}, 2, []string{"--assertions", "nosuch"}, []string{"there is no folder nosuch"}},
		{"no value", func(*host) {}, 2, []string{"--channel"}, []string{"--channel needs a value"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			test.prepare(h)
			_, stderr, _ := h.run(test.code, append([]string{"--from", h.from}, test.args...)...)
			contains(t, stderr, test.want...)
			for line := range strings.Lines(stderr) {
				if strings.Contains(line, "unbound variable") || strings.Contains(line, "unforeseen") || strings.Contains(line, "install.sh: line") {
					t.Errorf("a fault of the script: %s", line)
				}
			}
		})
	}
}

func (h *host) remove(name string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.from, name)); err != nil {
		h.t.Fatal(err)
	}
}

// The snaps' account and the assertion's must be one.
func TestInstallOfAnotherAccount(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run(0, "--from", h.from)
	h.account = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"
	h.write(filepath.Join(h.from, "network.confdb-schema.assert"), h.schema("confdb-schema"))
	_, stderr, changes := h.run(1, "--from", h.from)
	contains(t, stderr, "the snaps are made for account "+network.AccountID, "make all ACCOUNT_ID="+h.account)
	if changes != nil {
		t.Errorf("changed: %q", changes)
	}
}

package snapfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/snapfile"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files []string
		want  string // the file that is found; "" for none
		hooks []string
	}{
		{"a project", []string{"snap/snapcraft.yaml", "snap/hooks/install", "snap/hooks/.swp", "snap/hooks/lib/x", "hooks/configure"},
			"snap/snapcraft.yaml", []string{"install"}},
		{"an older project", []string{"snapcraft.yaml", "snap/hooks/install", "snap/hooks/configure"}, "snapcraft.yaml", []string{"configure", "install"}},
		{"a hidden one", []string{".snapcraft.yaml", "snap/hooks/install"}, ".snapcraft.yaml", []string{"install"}},
		{"unpacked, of its source", []string{"snap/snapcraft.yaml", "snap/hooks/install", "meta/snap.yaml", "meta/hooks/remove"},
			"meta/snap.yaml", []string{"remove"}},
		{"without hooks", []string{"meta/snap.yaml"}, "meta/snap.yaml", nil},
		{"nothing", []string{"README.md"}, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range test.files {
				path := filepath.Join(dir, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("name: a\n"), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			file, err := snapfile.Find(dir)
			if test.want == "" {
				if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "cannot find a snap in "+dir+": it has no ") {
					t.Errorf("%q, %v", file, err)
				}
				return
			}
			if err != nil || file != filepath.Join(dir, test.want) {
				t.Fatalf("%q, %v", file, err)
			}
			if same, err := snapfile.Find(file); err != nil || same != file {
				t.Errorf("the file itself: %q, %v", same, err)
			}
			snap, err := snapfile.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			var hooks []string
			for _, hook := range snap.Hooks {
				hooks = append(hooks, hook.Name)
			}
			if diff := cmp.Diff(test.hooks, hooks); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const account = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"
	for _, test := range []struct{ account, view, role, attribute, reason string }{
		{account, "lights/all", "", "", ""},
		{account, "lights/all", "custodian", "", ""},
		{"system", "lights/all", "", "", ""},
		{"", "lights/all", "", "account", `must have an "account" attribute`},
		{"me@example.com", "lights/all", "", "account", `must have a valid "account" attribute`},
		{account, "", "", "view", `must have a "view" attribute`},
		{account, "lights", "", "view", "separated by a single '/': lights"},
		{account, "a/b/c", "", "view", "separated by a single '/': a/b/c"},
		{account, "Lights/all", "", "view", "invalid confdb name: Lights"},
		{account, "lights/", "", "view", "invalid view name: "},
		{account, "lights/all", "observer", "role", `must be "custodian"`},
		{"system", "lights/all", "custodian", "role", `snaps cannot be custodians of "system"`},
	} {
		attribute, reason := snapfile.Refused(test.account, test.view, test.role)
		if attribute != test.attribute || !strings.Contains(reason, test.reason) || (reason == "") != (test.reason == "") {
			t.Errorf("%q %q %q: %s: %q, want %s: %q", test.account, test.view, test.role, attribute, reason, test.attribute, test.reason)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for hook, want := range map[string][2]string{
		"change-view-all": {"change-view-", "all"}, "observe-view-a-b": {"observe-view-", "a-b"}, "connect-plug-p": {"connect-plug-", "p"},
		"install": {}, "change-view": {}, "all-view-changed": {},
	} {
		if kind, plug := snapfile.Split(hook); kind != want[0] || plug != want[1] {
			t.Errorf("%s: %q, %q", hook, kind, plug)
		}
	}
	if !snapfile.CustodianOnly("save-view-") || snapfile.CustodianOnly("observe-view-") || !snapfile.Fixed("configure") || snapfile.Fixed("nosuch") {
		t.Error("who runs what is not told")
	}
}

// TestRead reads snaps' files in unusual forms.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, file, text string
		plugs            []string // NAME INTERFACE ACCOUNT
		environment      []snapfile.Variable
		wrong            string
	}{
		{name: "scalars are as the file has them", file: "snapcraft.yaml", text: "environment: {A: 0o17, B: True, C: 1.50, D: , E: 2026-11-01}",
			environment: []snapfile.Variable{{"A", "0o17"}, {"B", "True"}, {"C", "1.50"}, {"D", ""}, {"E", "2026-11-01"}}},
		{name: "a key of a map that is there twice counts at its last place", file: "snap.yaml", text: "environment: {A: 1, B: $A, A: 2}",
			environment: []snapfile.Variable{{"B", "$A"}, {"A", "2"}}},
		{name: "sections add up, and the last of a plug counts", file: "snap.yaml", text: "plugs: {p: home, q: home}\nplugs: {p: network}",
			plugs: []string{"q home ", "p network "}},
		{name: "branches of a template do not", file: "snapcraft.yaml.in", text: "plugs: {p: home}\nplugs: {q: network}", plugs: []string{"q network "}},
		{name: "merge keys", file: "snapcraft.yaml", text: "x-all: &all {interface: confdb, account: acc, view: lights/all}\nplugs: {p: {<<: *all, account: other}}\n" +
			"x-env: &env {A: 1, B: 2}\nenvironment: {<<: *env, B: 3, C: $A}", plugs: []string{"p confdb other"},
			environment: []snapfile.Variable{{"A", "1"}, {"B", "3"}, {"C", "$A"}}},
		{name: "placeholders", file: "snapcraft.yaml", text: "plugs:\n  p: {interface: confdb, view: lights/all, account: \"${ACCOUNT}\"}\n  q:\n    interface: confdb\n    account: @ID@", plugs: []string{"p confdb ${ACCOUNT}", "q confdb @ID@"}},
		{name: "plugs of apps and hooks", file: "snap.yaml", text: "plugs: {p: }\napps: {a: {plugs: [p, network]}}\nhooks: {configure: {plugs: [home, network]}}",
			plugs: []string{"p p ", "network network ", "home home "}},
		{name: "a list for a text", file: "snap.yaml", text: "version: [a]\nsummary: {}\nplugs: {p: home}", plugs: []string{"p home "}, wrong: "snap.yaml:2:10: want a text, not a list"},
		{name: "a text for a list", file: "snap.yaml", text: "apps: {a: {plugs: home}}", wrong: "snap.yaml:2:19: want a list, not a string"},
		{name: "a text for a map", file: "snap.yaml", text: "hooks:\n  configure: x", wrong: "snap.yaml:3:14: want a map, not a string"},
		{name: "a number for a plug", file: "snap.yaml", text: "plugs: {p: 5}", plugs: []string{"p p "}, wrong: `snap.yaml:2:12: plug "p" is neither a map nor the name of an interface`},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), test.file)
			if err := os.WriteFile(file, []byte("name: a\n"+test.text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			snap, err := snapfile.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			var plugs []string
			for _, p := range snap.Plugs {
				plugs = append(plugs, p.Name+" "+p.Interface+" "+p.Account)
			}
			if diff := cmp.Diff(test.plugs, plugs); diff != "" {
				t.Errorf("plugs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.environment, snap.Environment); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if (snap.Wrong == nil) != (test.wrong == "") || snap.Wrong != nil && !strings.HasSuffix(snap.Wrong.Error(), test.wrong) {
				t.Errorf("wrong is %v, want %s", snap.Wrong, test.wrong)
			}
		})
	}
}

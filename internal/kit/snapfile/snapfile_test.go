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
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
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
			hooks, err := snapfile.Hooks(file)
			if diff := cmp.Diff(test.hooks, hooks); err != nil || diff != "" {
				t.Errorf("hooks, %v (-want +got):\n%s", err, diff)
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

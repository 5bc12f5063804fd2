package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"
)

// What make assertion runs: a file that is complete or not there, and an error that says what to do.
func TestSignAssertion(t *testing.T) {
	t.Parallel()
	need.Programs(t, "bash", "awk")
	aspects := filepath.Join(program.Dir(t), "aspects-poc")
	for _, test := range []struct {
		name, snap string // a script in the place of the snap command; "" for none
		key        string
		flags      []string
		want       string // in the file, or the error
		fails      bool
	}{
		{name: "signs", snap: `[ "$1 $2 $3" = "sign -k mine" ] && echo signed && cat`, key: "mine",
			flags: []string{"--revision", "7"}, want: `"revision": "7"`},
		{name: "warns", snap: `echo "WARNING: offline" >&2; cat`, key: "mine", want: `"type": "confdb-schema"`},
		{name: "no key given", snap: "cat", want: "which key signs? make assertion KEY=NAME", fails: true},
		{name: "no snap", key: "mine", want: "the snap command is not there", fails: true},
		{name: "no such key", snap: `echo 'error: cannot use "mine" key: cannot find key pair in GPG keyring' >&2; exit 1`,
			key: "mine", want: "snap create-key mine makes this one", fails: true},
		{name: "other generation", key: "mine", want: "This snap command (2.68.3) is of another generation", fails: true,
			snap: `[ "$1" != version ] || { echo "snap 2.68.3"; exit; }; echo "error: invalid assertion type: confdb-schema" >&2; exit 1`},
		{name: "no account", snap: "cat", key: "mine", flags: []string{"--account-id", "me@example.com"},
			want: "is no account ID", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, bin := t.TempDir(), t.TempDir()
			for _, name := range []string{"bash", "sh", "cat", "mktemp", "rm", "cp", "mv", "mkdir", "dirname", "tr", "awk", "grep"} {
				path, err := exec.LookPath(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
					t.Fatal(err)
				}
			}
			if test.snap != "" {
				if err := os.WriteFile(filepath.Join(bin, "snap"), []byte("#!/bin/sh\n"+test.snap+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "build", "network.assert")
			command := exec.CommandContext(t.Context(), filepath.Join(bin, "bash"), append([]string{filepath.Join(root, ".ci", "sign-assertion"),
				aspects, test.key, file}, test.flags...)...)
			command.Env = []string{"PATH=" + bin, "HOME=" + dir, "TMPDIR=" + dir}
			said, err := command.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			text, readErr := os.ReadFile(file)
			if test.fails {
				if err == nil || readErr == nil || !strings.Contains(string(said), test.want) {
					t.Errorf("want a failure that says %q and leaves no file: %v, %v\n%s", test.want, err, readErr, said)
				}
				return
			}
			if err != nil || readErr != nil || !strings.Contains(string(text), test.want) {
				t.Errorf("want %q in the file: %v, %v\n%s\n%s", test.want, err, readErr, said, text)
			}
			left, err := os.ReadDir(filepath.Dir(file))
			if err != nil || len(left) != 1 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

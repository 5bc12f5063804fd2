package stocksnap

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aspects-poc/internal/need"
)

// A Keyring is a folder with keys that the stock snap command makes and signs with, and its own gpg-agent. Unlike what
// Command runs, snap is not in a root directory of its own here, as it needs gpg.
type Keyring struct {
	root, home string
}

// pinentry answers gpg's questions for a passphrase with an empty one.
const pinentry = `#!/bin/sh
echo OK
while read -r line; do
	echo OK
	[ "$line" != BYE ] || exit 0
done
`

// FindKeyring returns an empty keyring that is gone after the test. It needs what Find needs, gpg, and script(1), as snap
// asks a terminal for a passphrase; where one of them is missing it does as Find does.
func FindKeyring(t testing.TB) *Keyring {
	t.Helper()
	command := Find(t)
	need.Programs(t, "gpg", "gpgconf", "script")
	// Not t.TempDir: there are sockets in it, whose names can have 107 bytes.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if said, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("cannot end gpg's agent: %v: %s", err, said)
		}
		_ = os.RemoveAll(home) // in the system's folder for such
	})
	program := filepath.Join(home, "pinentry")
	if err := errors.Join(os.WriteFile(program, []byte(pinentry), 0o700),
		os.WriteFile(filepath.Join(home, "gpg-agent.conf"), []byte("pinentry-program "+program+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return &Keyring{root: command.root, home: home}
}

// Create makes a key without a passphrase.
func (k *Keyring) Create(t testing.TB, name string) {
	t.Helper()
	// Two empty lines: the passphrase, and once more.
	line := `exec "$SNAP_LOADER" --library-path "$SNAP_LIBRARIES" "$SNAP_PROGRAM" create-key "$SNAP_KEY"`
	command := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", line, "/dev/null")
	command.Env = append(k.environment(), "SNAP_LOADER="+k.loader(), "SNAP_LIBRARIES="+k.libraries(),
		"SNAP_PROGRAM="+k.program(), "SNAP_KEY="+name)
	command.Stdin = bytes.NewReader([]byte("\n\n"))
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("snap create-key %s: %v: %s", name, err, said)
	}
}

// Run runs snap with a text as its standard input.
func (k *Keyring) Run(t testing.TB, input string, args ...string) Result {
	t.Helper()
	command := exec.CommandContext(t.Context(), k.loader(), append([]string{"--library-path", k.libraries(), k.program()}, args...)...)
	command.Env, command.Stdin = k.environment(), bytes.NewReader([]byte(input))
	result, err := resultOf(command)
	if err != nil {
		t.Fatalf("snap %q: %v", args, err)
	}
	return result
}

func (k *Keyring) loader() string    { return filepath.Join(k.root, "lib64/ld-linux-x86-64.so.2") }
func (k *Keyring) libraries() string { return filepath.Join(k.root, "usr/lib/x86_64-linux-gnu") }
func (k *Keyring) program() string   { return filepath.Join(k.root, "usr/bin/snap") }

func (k *Keyring) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + k.home, "SNAP_GNUPG_HOME=" + k.home, "LANG=C.UTF-8", "TERM=dumb",
		"SNAP_REEXEC=0"}
}

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

// A Keyring is a folder with keys for the stock snap command, and its own gpg-agent. Its snap command runs in the machine's root
// directory, because it needs gpg.
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

// FindKeyring returns an empty keyring that is removed after the test. It needs gpg, script(1), since snap asks a
// terminal for the passphrase, and what Find needs. If something is missing, it skips or fails the test as Find does.
func FindKeyring(t testing.TB) *Keyring {
	t.Helper()
	command := Find(t)
	need.Programs(t, "gpg", "gpgconf", "script")
	// Not t.TempDir: the path of a socket has at most 107 bytes.
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
	// Two empty lines: the passphrase and its repetition.
	line := `exec "$SNAP_LOADER" --library-path "$SNAP_LIBRARIES" "$SNAP_PROGRAM" create-key "$SNAP_KEY"`
	command := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", line, "/dev/null")
	command.Env = append(k.environment(), "SNAP_LOADER="+k.loader(), "SNAP_LIBRARIES="+k.libraries(),
		"SNAP_PROGRAM="+k.program(), "SNAP_KEY="+name)
	command.Stdin = bytes.NewReader([]byte("\n\n"))
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("snap create-key %s: %v: %s", name, err, said)
	}
}

// Run runs snap with this text as standard input.
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

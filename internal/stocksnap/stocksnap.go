// Package stocksnap runs the snap command of Debian's snapd package against a socket of the test, as an independent
// client. Its main type is Command.
//
//	command := stocksnap.Find(t)
//	result := command.Run(t, dir, "get", "-d", view) // dir has snapd.socket and, for flags, features/
//
// .ci/stock-snap downloads it. The command runs in its own root directory, since it may need a newer C library than
// the machine's, and in a mount namespace in which dir is /run. That needs unshare(1), and root or a kernel that lets
// users make namespaces.
package stocksnap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aspects-poc/internal/need"
)

// A Command is a stock snap command.
type Command struct {
	root string
}

// A Result is the result of a command.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// inside sets up the namespace: /proc, in which snap looks itself up, the sockets, and the enabled features.
const inside = `set -e
root=$1 dir=$2
shift 2
mount --rbind /proc "$root/proc"
mount --bind "$dir" "$root/run"
if [ -d "$dir/features" ]; then mount --bind "$dir/features" "$root/var/lib/snapd/features"; fi
exec chroot "$root" /usr/bin/snap "$@"`

// script runs snap with the sockets in /run.
const script = `#!/bin/sh
if [ "$(id -u)" != 0 ]; then user='--user --map-root-user'; fi
exec unshare --mount --propagation private $user sh -c '
	set -e
	root=$1
	shift
	mount --rbind /proc "$root/proc"
	mount --rbind /run "$root/run"
	if [ -d /var/lib/snapd/features ]; then mount --bind /var/lib/snapd/features "$root/var/lib/snapd/features"; fi
	exec chroot "$root" /usr/bin/snap "$@"' sh '%s' "$@"
`

// Install writes a program called snap to a directory.
func (c *Command) Install(t testing.TB, dir string) {
	t.Helper()
	text := fmt.Sprintf(script, c.root)
	if err := os.WriteFile(filepath.Join(dir, "snap"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

var try sync.Mutex // lets one attempt to make a namespace run at a time

// stock is the name of the requirement in messages.
const stock = "Debian's newest snap command"

// Find returns the stock snap command. If it is missing or cannot run, the test is skipped, or fails if
// ASPECTS_REQUIRE_SNAP is 1.
func Find(t testing.TB) *Command {
	t.Helper()
	need.Program(t, "unshare")
	root := os.Getenv("ASPECTS_STOCK_SNAP")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			giveUp(t, stock, "set HOME or ASPECTS_STOCK_SNAP")
		}
		root = filepath.Join(cache, "aspects-poc-snap")
	}
	if _, err := os.Stat(filepath.Join(root, "usr/lib/snapd/snapd")); err != nil {
		giveUp(t, stock, ".ci/stock-snap")
	}
	try.Lock()
	defer try.Unlock()
	// The command "version" waits half a minute for a snapd.
	command := &Command{root: root}
	if result, err := command.run(t, t.TempDir(), "help"); err != nil || result.Code != 0 {
		t.Logf("%v %s", err, result.Stderr)
		giveUp(t, "a kernel that lets this user make a mount namespace for "+stock, "run it as root")
	}
	return command
}

// giveUp skips or fails the test with the missing requirement and its remedy.
func giveUp(t testing.TB, what, remedy string) {
	t.Helper()
	need.Missing(t, what, remedy, "ASPECTS_REQUIRE_SNAP")
}

// Run runs snap with arguments. dir has snapd.socket, and may have snapd-snap.socket and features.
func (c *Command) Run(t testing.TB, dir string, args ...string) Result {
	t.Helper()
	result, err := c.run(t, dir, args...)
	if err != nil {
		t.Fatalf("snap %s: %v", strings.Join(args, " "), err)
	}
	return result
}

func (c *Command) run(t testing.TB, dir string, args ...string) (Result, error) {
	words := []string{"--mount", "--propagation", "private"}
	if os.Geteuid() != 0 {
		words = append(words, "--user", "--map-root-user")
	}
	words = append(words, "sh", "-c", inside, "sh", c.root, dir)
	command := exec.CommandContext(t.Context(), "unshare", append(words, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/root", "LANG=C.UTF-8", "TZ=UTC", "SNAP_REEXEC=0"}
	return resultOf(command)
}

func resultOf(command *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		result.Code = exit.ExitCode()
		return result, nil
	}
	return result, err
}

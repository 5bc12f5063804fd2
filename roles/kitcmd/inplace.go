package kitcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"aspects-poc/roles"
)

// inPlaceScript puts our sockets in the place of snapd's, in a mount namespace that unshare has made, and runs a command.
// Where there is no snapd there is nothing in those places to mount on, and it is made on a file system of its own. From
// then on the folder of the sockets, which may be below, is reached as the working directory. A user had to become root
// to mount, and becomes who it was: the snap command looks for its own files in its user's home.
const inPlaceScript = `set -e
here=$PWD
cd "$1"
socket=$2 user=$3 group=$4
shift 4
if [ ! -e /run/snapd.socket ] || [ ! -e /run/snapd-snap.socket ]; then
	mount -t tmpfs tmpfs /run
	touch /run/snapd.socket /run/snapd-snap.socket
fi
mount --no-canonicalize --bind "./$socket" /run/snapd.socket
mount --no-canonicalize --bind ./` + snapSocketName + ` /run/snapd-snap.socket
if [ ! -d /var/lib/snapd/features ]; then
	mount -t tmpfs tmpfs /var/lib
	mkdir -p /var/lib/snapd/features
fi
mount --no-canonicalize --bind ./` + featuresName + ` /var/lib/snapd/features
cd "$here"
if [ "$user" != 0 ]; then exec unshare --user --map-user "$user" --map-group "$group" -- "$@"; fi
exec "$@"`

// unshare returns the command that runs others in a mount namespace.
func unshare() []string {
	words := []string{"unshare", "--mount", "--propagation", "private"}
	if os.Geteuid() != 0 {
		words = append(words, "--user", "--map-root-user")
	}
	return append(words, "--")
}

// namespaces tells whether this system lets us make a mount namespace.
func namespaces(ctx context.Context) bool {
	words := append(unshare(), "true")
	return exec.CommandContext(ctx, words[0], words[1:]...).Run() == nil
}

// inPlace runs a command that finds our sockets where those of snapd are.
func inPlace(ctx context.Context, env *roles.Env, socket string, command []string) error {
	words := append(unshare(), "sh", "-c", inPlaceScript, "sh", filepath.Dir(socket), filepath.Base(socket),
		strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid()))
	return runCommand(ctx, env, command[0], append(words, command...)...)
}

// runCommand runs a command with our streams. name is how errors call it.
func runCommand(ctx context.Context, env *roles.Env, name string, words ...string) error {
	run := exec.CommandContext(ctx, words[0], words[1:]...)
	run.Stdin, run.Stdout, run.Stderr = env.Stdin, env.Stdout, env.Stderr
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	run.WaitDelay = 10 * time.Second
	err := run.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("cannot run %s: %w: it is in the package util-linux", name, err)
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
}

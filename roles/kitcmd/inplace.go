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

// inPlaceScript runs in a mount namespace of unshare. It mounts our sockets in the places of snapd's, and runs a
// command. Without snapd those places do not exist, so the script first mounts a file system to make them on. The
// folder of our sockets may lie below that mount, so the script reaches it as the working directory. unshare makes a
// user root for the mounts; the script becomes the user again, because the snap command reads files in the user's home.
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

// unshare returns the command line that runs another command in a mount namespace.
func unshare() []string {
	words := []string{"unshare", "--mount", "--propagation", "private"}
	if os.Geteuid() != 0 {
		words = append(words, "--user", "--map-root-user")
	}
	return append(words, "--")
}

// namespaces reports whether this system permits a mount namespace.
func namespaces(ctx context.Context) bool {
	words := append(unshare(), "true")
	return exec.CommandContext(ctx, words[0], words[1:]...).Run() == nil
}

// inPlace runs a command that finds our sockets in the places of snapd's.
func inPlace(ctx context.Context, env *roles.Env, socket string, command []string) error {
	words := append(unshare(), "sh", "-c", inPlaceScript, "sh", filepath.Dir(socket), filepath.Base(socket),
		strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid()))
	return runCommand(ctx, env, command[0], append(words, command...)...)
}

// runCommand runs a command with our streams. name is its name in errors.
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

// Package hookrun runs the hooks and services of snaps as snapd does, as far as that goes without confinement: the
// environment, the directories, the limits and a snapctl on PATH. Its main type is Runner, which a world takes as its
// Runner and its Services.
//
//	runner, err := hookrun.New(hookrun.Options{Dir: dir, Snapctl: binary})
//	w, err := world.Open("", changes.Options{Runner: runner, Services: runner})
//	err = runner.Serve(w)
//	defer runner.Close()
//
// There is no confinement: a hook runs as whoever runs it, sees this machine's files and can do all that its user can.
// What a strict snap may not do it may do here, and what needs root fails here unless root runs it.
package hookrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// SocketVariable names the variable that tells our snapctl, and programs that use package registry, where snapd's
// endpoint for snaps is if not at /run/snapd-snap.socket.
const SocketVariable = "ASPECTS_SNAP_SOCKET"

// Options say how to run hooks.
type Options struct {
	// Dir is where snaps have their data, below var/snap and root/snap.
	Dir string
	// Snapctl is the program that snaps find as snapctl on their PATH: this one, whose main asks IsSnapctl.
	Snapctl string
	// Output, if not nil, gets what services print, line by line.
	Output func(snap, service, line string)
	// RunServices says whether services are run; else it is only noted what is asked for.
	RunServices bool
}

// A Runner runs hooks and services. It is safe for concurrent use.
type Runner struct {
	options Options
	bin     string // folder with snapctl
	socket  string
	server  *http.Server
	served  chan error
	world   *world.World
	journal journal

	mu       sync.Mutex // guards what follows
	closed   bool
	services map[string]*service
}

var (
	_ changes.Runner   = (*Runner)(nil)
	_ changes.Services = (*Runner)(nil)
)

// New makes the directories. Serve is needed before hooks run.
func New(options Options) (*Runner, error) {
	r := &Runner{options: options, services: map[string]*service{}, journal: journal{moved: make(chan struct{})}}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot prepare to run hooks: %w", err)
	}
	// Not in Dir: a socket's path has 108 bytes at most.
	bin, err := os.MkdirTemp("", "aspects-poc-")
	if err != nil {
		return nil, fmt.Errorf("cannot prepare to run hooks: %w", err)
	}
	r.bin, r.socket = bin, filepath.Join(bin, "snapd-snap.socket")
	if err := os.Symlink(options.Snapctl, filepath.Join(bin, "snapctl")); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot prepare to run hooks: %w", err), os.RemoveAll(bin))
	}
	return r, nil
}

// Serve answers snapctl requests of the world's snaps until Close.
func (r *Runner) Serve(w *world.World) error {
	listener, err := net.Listen("unix", r.socket)
	if err != nil {
		return fmt.Errorf("cannot answer snapctl: %w", err)
	}
	api, err := rest.New(rest.Options{World: w})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	r.world = w
	r.server = &http.Server{Handler: api.SnapHandler(), ConnContext: rest.ConnContext, ReadHeaderTimeout: time.Minute}
	r.served = make(chan error, 1)
	go func() { r.served <- r.server.Serve(listener) }()
	return nil
}

// Socket is where snapctl requests are answered.
func (r *Runner) Socket() string { return r.socket }

// Close stops all services and answers no more. The world should be closed before, so that no hook runs.
func (r *Runner) Close() error {
	r.stopAll()
	var err error
	if r.server != nil {
		err = r.server.Close()
		if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}
	return errors.Join(err, os.RemoveAll(r.bin))
}

// RunHook runs $SNAP/meta/hooks/NAME.
func (r *Runner) RunHook(ctx context.Context, hook changes.Hook) ([]byte, error) {
	path := filepath.Join(hook.Snap.Dir, "meta", "hooks", hook.Name)
	if hook.Snap.Dir == "" {
		return nil, nil // a snap that is only declared
	}
	setting := hook.Snap.HookSettings[hook.Name]
	environment, err := r.environment(hook.Snap, hook.Cookie, "", setting)
	if err != nil {
		return nil, err
	}
	words := environment.command(hook.Snap, setting, path)
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Env, command.Dir = environment.list(), "/"
	var output tail
	command.Stdout, command.Stderr = &output, &output
	group(command)
	err = command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		if _, gone := os.Lstat(path); words[0] == path && errors.Is(gone, fs.ErrNotExist) {
			return nil, errNoHook
		}
		return output.Bytes(), unstarted(words[0], err)
	}
	return output.Bytes(), err
}

// errNoHook is a hook that a snap declares and has no file for, in snapd's words.
var errNoHook = errors.New("cannot snap-exec: no such file or directory")

// Prepare makes a snap's directories, which on snapd are there from its installation on.
func (r *Runner) Prepare(snap facts.Snap) error {
	if snap.Revision == "" {
		snap.Revision = facts.FirstRevision
	}
	_, err := r.environment(snap, "", "", facts.Setting{})
	return err
}

// group lets a command run in a process group of its own, all of which is killed when its context ends: a hook may have
// started others.
func group(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	// What a hook leaves running in the background may hold its output open.
	command.WaitDelay = time.Second
}

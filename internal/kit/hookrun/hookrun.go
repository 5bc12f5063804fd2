// Package hookrun runs the hooks, apps and services of snaps as processes, as snapd does but without confinement. They
// get snapd's environment, directories and limits, and a snapctl on PATH. Its main type is Runner. A world uses it as
// its Runner and its Services.
//
//	runner, err := hookrun.New(hookrun.Options{Dir: dir, Snapctl: binary})
//	w, err := world.Open("", changes.Options{Runner: runner, Services: runner})
//	err = runner.Serve(w)
//	defer runner.Close()
//
// A hook runs as the user of this process, with all rights of that user. So it can do more here than in a strict snap, and acts that
// need root fail unless root runs this process. Package changes decides which hooks run, and when.
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

	"aspects-poc/internal/kit/hookrun/snapctl"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// Options are options of New. Dir and Snapctl are required.
type Options struct {
	// Dir is the folder for the data of snaps, below var/snap and root/snap.
	Dir string
	// Snapctl is the program that snaps find as snapctl on their PATH. A program that imports this package can be that program:
	// under the name snapctl it acts as snapctl (see package hookrun/snapctl).
	Snapctl string
	// Output, if not nil, receives each line that a service prints.
	Output func(snap, service, line string)
	// RunServices runs services. Without it, the machine only records which services should run.
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

// New returns a runner and creates its directories. Call Serve before hooks run, and Close at the end.
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
	if err := os.Symlink(options.Snapctl, filepath.Join(bin, snapctl.Name)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot prepare to run hooks: %w", err), os.RemoveAll(bin))
	}
	return r, nil
}

// Serve begins to answer the snapctl requests of the world's snaps, until Close.
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

// Socket returns the path of the socket that answers snapctl requests.
func (r *Runner) Socket() string { return r.socket }

// Close stops all services and the answers to snapctl. Close the world first, so that no hook runs.
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

// RunHook runs $SNAP/meta/hooks/NAME and returns the end of its output.
func (r *Runner) RunHook(ctx context.Context, hook changes.Hook) ([]byte, error) {
	path := filepath.Join(hook.Snap.Dir, "meta", "hooks", hook.Name)
	if hook.Snap.Dir == "" {
		return nil, nil // declared without files
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

// errNoHook means that a snap declares a hook but has no file for it. The words are snapd's.
var errNoHook = errors.New("cannot snap-exec: no such file or directory")

// Prepare creates a snap's directories. Call it when the snap is installed, as snapd does.
func (r *Runner) Prepare(snap facts.Snap) error {
	if snap.Revision == "" {
		snap.Revision = facts.FirstRevision
	}
	_, err := r.environment(snap, "", "", facts.Setting{})
	return err
}

// group runs a command in its own process group, and kills the group when the command's context ends. So processes that a
// hook has started end with it.
func group(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	// Processes that a hook leaves in the background may hold its output open.
	command.WaitDelay = time.Second
}

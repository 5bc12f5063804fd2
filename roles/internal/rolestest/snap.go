package rolestest

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/registry"
	"aspects-poc/roles"
)

// A Snap is a role's snap on an imitated snapd, with a connected plug for every view.
type Snap struct {
	*machine.Machine
	Role     roles.Role
	Instance string // SNAP_INSTANCE_NAME
	Common   string // SNAP_COMMON
	Data     string // SNAP_DATA

	t *testing.T
}

// NewSnap installs a role's snap with its hooks on an imitated snapd of its own. key is that of a parallel instance,
// or "".
func NewSnap(t *testing.T, role roles.Role, key string) *Snap {
	t.Helper()
	instance := roles.Program + "-" + role.Name
	if key != "" {
		instance += "_" + key
	}
	m := machine.Start(t, machine.Options{Snap: instance, Services: []string{roles.DaemonService}})
	s := &Snap{Machine: m, Role: role, Instance: instance, Common: t.TempDir(), Data: t.TempDir(), t: t}
	s.Serve(role)
	return s
}

// Serve makes this snap's snapd run the hooks of another role's snap, since the imitation has only one snap. The
// other snap has folders of its own.
func (s *Snap) Serve(role roles.Role) {
	other := *s
	if role.Name != s.Role.Name {
		other.Role, other.Instance = role, roles.Program+"-"+role.Name
		other.Common, other.Data = s.t.TempDir(), s.t.TempDir()
	}
	for _, hook := range role.Hooks {
		s.Handle(hook.Name, other.hook)
	}
}

// hook runs the binary as a hook.
func (s *Snap) hook(call machine.HookCall) error {
	var stdout, stderr Buffer
	env := s.env(map[string]string{"SNAP_COOKIE": call.Cookie})
	env.Stdout, env.Stderr = &stdout, &stderr
	argv := []string{filepath.Join("/snap", s.Instance, "x1", "meta", "hooks", call.Name)}
	if code := roles.Run(context.Background(), env, argv, s.Role); code != 0 {
		return errors.New(strings.TrimSpace(stdout.String() + stderr.String()))
	}
	return nil
}

// env returns the environment of a process of the snap.
func (s *Snap) env(more map[string]string) *roles.Env {
	vars := map[string]string{
		"SNAP_NAME": roles.Program + "-" + s.Role.Name, "SNAP_INSTANCE_NAME": s.Instance, "SNAP_COMMON": s.Common,
		"SNAP_DATA": s.Data, "SNAP_REVISION": "x1", "SNAP": "/snap/" + s.Instance + "/x1",
	}
	maps.Copy(vars, more)
	here := func(given []registry.Options) registry.Options {
		var options registry.Options
		if len(given) > 0 {
			options = given[0]
		}
		options.SnapSocket = s.SnapSocket()
		return options
	}
	return &roles.Env{
		Stdin: strings.NewReader(""), Getenv: func(name string) string { return vars[name] },
		Open: func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error) {
			return registry.Open(ctx, address, here(options))
		},
		OpenHook: func(ctx context.Context, name string, options ...registry.Options) (*registry.Hook, error) {
			return registry.OpenHook(ctx, name, here(options))
		},
	}
}

// Start runs the snap's app until Stop or its end. The first word is "run". The Run has no Counter; Machine.Calls has
// the calls of snapctl.
func (s *Snap) Start(words ...string) *Run {
	return s.StartAs(s.Role, words...)
}

// StartAs is Start with a changed role.
func (s *Snap) StartAs(role roles.Role, words ...string) *Run {
	run := &Run{Out: &Buffer{}, Err: &Buffer{}, done: make(chan struct{})}
	env := s.env(map[string]string{"SNAP_COOKIE": s.Cookie(), "SNAP_APP_NAME": roles.DaemonService})
	env.Stdout, env.Stderr = run.Out, run.Err
	ctx, cancel := context.WithCancel(context.Background())
	run.end = cancel
	go func() {
		defer close(run.done)
		run.code = roles.Run(ctx, env, append([]string{roles.Program + "-" + role.Name}, words...), role)
	}()
	s.t.Cleanup(func() { run.Stop() })
	return run
}

// Await waits until done returns true. After a minute it ends the test with the text what.
func Await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(time.Minute) // much longer than needed
	defer timeout.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

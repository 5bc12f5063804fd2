package rolestest

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/machine"
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

// NewSnap installs a role's snap, with its hooks, on a snapd of its own. Key is that of a parallel instance, or "".
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

// Serve has this snap's snapd run the hooks of another role's snap for the views, as the imitation knows one snap only.
// That one has folders of its own.
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

// env is what a process of the snap finds.
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

// Start runs the snap's app, words beginning with "run", until Stop or its end. Its Run has no Counter: Calls has what
// reached snapd.
func (s *Snap) Start(words ...string) *Run {
	return s.StartAs(s.Role, words...)
}

// StartAs is Start of a role that a test has altered.
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

// Await waits until done tells that something has come about, or ends the test saying what was waited for.
func Await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(time.Minute) // far beyond what is ever needed: it only ends a test that fails
	defer timeout.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

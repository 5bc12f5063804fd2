package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
)

const changeView = "change-view-"

// A Hook is a function that runs as a hook of the snap. An error makes the hook fail.
type Hook func(call HookCall) error

// A HookCall is one run of a hook.
type HookCall struct {
	Name   string
	Cookie string          // for snapctl, valid until the hook ends
	Killed <-chan struct{} // closed when snapd kills the hook
}

// Handle sets the function for a hook, such as "save-view-control-tunnel"; nil removes it.
func (m *Machine) Handle(name string, hook Hook) {
	m.mu.Lock()
	m.hooks[name] = hook
	m.mu.Unlock()
	m.alter(func(snap *facts.Snap) {
		if !slices.Contains(snap.Hooks, name) {
			snap.Hooks = append(snap.Hooks, name)
		}
	})
}

// Rejecting returns a change-view hook that refuses with a reason.
func (m *Machine) Rejecting(reason string) Hook {
	return func(call HookCall) error {
		return m.snapctl(call.Cookie, "fail", reason)
	}
}

func (m *Machine) snapctl(cookie string, args ...string) error {
	_, err := m.World.Snapctl.Run(context.Background(), snapctl.Call{Cookie: cookie, Args: args})
	return err
}

func (m *Machine) runHook(ctx context.Context, run changes.Hook) ([]byte, error) {
	plug, changes := strings.CutPrefix(run.Name, changeView)
	m.mu.Lock()
	hook, held, poisoned := m.hooks[run.Name], m.held, m.poisoned
	m.mu.Unlock()
	if changes && held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if changes && poisoned {
		_ = m.snapctl(run.Cookie, "set", "--view", ":"+plug, "no-such-request=1") // snapd refuses it, and then the commit
	}
	if hook == nil {
		return nil, nil
	}
	if err := hook(HookCall{Name: run.Name, Cookie: run.Cookie, Killed: ctx.Done()}); err != nil {
		return []byte(err.Error()), errors.New("exit status 1")
	}
	return nil, nil
}

// Hold makes change-view hooks wait until release is called. While a hook waits, other accesses to the confdb wait.
func (m *Machine) Hold() (release func()) {
	held := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = held
	return sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.held == held {
			m.held = nil
		}
		close(held)
	})
}

// Occupy starts a write by the administrator, for which all other accesses wait until release is called. It stores nothing.
func (m *Machine) Occupy(view string, values map[string]any) (release func()) {
	ended, began := make(chan struct{}), make(chan struct{})
	m.Handle(changeView+view, func(call HookCall) error {
		close(began)
		select {
		case <-ended:
		case <-call.Killed:
		}
		return errors.New("this write only occupies the confdb")
	})
	change, err := m.World.Changes.Set(context.Background(), m.View(view), values, changes.Access{})
	if err != nil {
		panic(fmt.Sprintf("%s cannot be occupied: %v", view, err)) // the test is wrong
	}
	<-began
	m.Handle(changeView+view, nil)
	return sync.OnceFunc(func() {
		close(ended)
		_, _ = m.World.Changes.Wait(context.Background(), change)
	})
}

// FailCommits sets whether commits of writes fail.
func (m *Machine) FailCommits(fail bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.poisoned = fail
}

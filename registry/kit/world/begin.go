package world

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// BeginConnect begins to connect a plug as `snap connect` does and returns the ID of the change: prepare-plug hook,
// connection, connect-plug hook. What a failing hook leaves is undone.
func (w *World) BeginConnect(instance, plug string) (string, error) {
	return w.beginLink("connect-snap", "Connect %s:%s to snapd:%s", instance, plug, func(c *change) []task {
		if w.state.Connections[connection(instance, plug)] {
			return nil // as on snapd, a change without tasks
		}
		hook := w.lifecycleHook(c, instance)
		connected := false
		connect := task{kind: "connect", summary: c.Summary, undone: true, do: func(context.Context) error {
			connected = true
			return w.Link(instance, plug)
		}}
		last := hook("connect-plug-" + plug)
		for i := range last {
			last[i].do = w.orElse(last[i].do, func() error {
				if !connected {
					return nil
				}
				return w.Unlink(instance, plug)
			})
		}
		return append(append(hook("prepare-plug-"+plug), connect), last...)
	})
}

// BeginDisconnect begins to disconnect a plug as `snap disconnect` does, after its disconnect-plug hook, whose failure
// does not keep it, and returns the ID of the change.
func (w *World) BeginDisconnect(instance, plug string) (string, error) {
	return w.beginLink("disconnect-snap", "Disconnect %s:%s from snapd:%s", instance, plug, func(c *change) []task {
		before := w.lifecycleHook(c, instance)("disconnect-plug-" + plug)
		for i := range before {
			before[i].tolerant = ignoring(before[i].summary)
		}
		return append(before, task{kind: "disconnect", summary: c.Summary, undone: true,
			do: func(context.Context) error { return w.Unlink(instance, plug) }})
	})
}

func (w *World) beginLink(kind, summary, instance, plug string, tasks func(*change) []task) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	if err := w.hasPlug(instance, plug); err != nil {
		return "", err
	}
	c := w.spawn(kind, fmt.Sprintf(summary, instance, plug, w.state.Snaps[instance].Plugs[plug].Interface))
	w.start(c, tasks(c), nil)
	return c.ID, nil
}

// lifecycleHook returns a function that plans a hook of a snap, if the snap has it. The caller has the lock.
func (w *World) lifecycleHook(c *change, instance string) func(name string) []task {
	return func(name string) []task {
		if snap := w.state.Snaps[instance]; snap == nil || !snap.Has(name) {
			return nil
		}
		return []task{hookTask(instance, name, func(ctx context.Context) error { return w.runHook(ctx, c, instance, name, nil) })}
	}
}

// orElse is what a task does, and what puts back the one before where it fails.
func (w *World) orElse(do func(context.Context) error, undo func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if failed := undo(); failed != nil {
			return fmt.Errorf("%w (and cannot undo: %w)", err, failed)
		}
		return err
	}
}

// BeginConfigure begins to set options of a snap, or of the system by the name "system" or "core", as `snap set` does,
// and returns the ID of the change. nil unsets. If the configure hook fails, the options are as before.
func (w *World) BeginConfigure(instance string, values map[string]any) (string, error) {
	if instance == "system" {
		instance = core
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	if instance != core {
		if _, err := w.snap(instance); err != nil {
			return "", err
		}
	}
	if _, err := patched(w.state.Config[instance], values); err != nil {
		return "", err // a malformed name is refused before there is a change
	}
	c := w.spawn("configure-snap", fmt.Sprintf("Change configuration of %q snap", instance))
	configure := task{kind: "run-hook", undone: true}
	if instance == core {
		configure.summary = fmt.Sprintf("Run configure hook of %q snap", instance)
		configure.do = func(context.Context) error { return w.SetSystem(values) }
	} else {
		configure.summary = fmt.Sprintf("Run configure hook of %q snap if present", instance)
		configure.do = func(ctx context.Context) error {
			var before map[string]any
			if err := w.change(func() error {
				before = w.state.Config[instance]
				return w.configure(instance, values)
			}); err != nil {
				return err
			}
			return w.orElse(func(ctx context.Context) error { return w.runHook(ctx, c, instance, "configure", nil) }, func() error {
				return w.change(func() error {
					w.state.Config[instance] = before
					return nil
				})
			})(ctx)
		}
	}
	w.start(c, []task{configure}, nil)
	return c.ID, nil
}

// Abort ends a change that is under way, as `snap abort` does: its hook that runs is killed, what was done is undone as
// when a hook fails. It returns before that is over.
func (w *World) Abort(id string) (Change, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.find(id)
	if err != nil {
		return Change{}, err
	}
	if c.Ready {
		return Change{}, &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot abort change %s with nothing pending", id)}
	}
	if c.abort != nil {
		c.abort()
	}
	return c.copied(), nil
}

// BeginServices begins to start, stop or restart ("start", "stop", "restart") services, named SNAP.SERVICE, and returns
// the ID of the change.
func (w *World) BeginServices(action string, services []string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	var tasks []task
	c := w.spawn("service-control", "Running service command")
	for _, service := range services {
		instance, _, _ := strings.Cut(service, ".")
		tasks = append(tasks, task{kind: "exec-command", summary: fmt.Sprintf("%s of [%s]", action, service),
			do: func(ctx context.Context) error {
				w.act(ctx, instance, serviceAction(action, service))
				return nil
			}})
	}
	w.start(c, tasks, nil)
	return c.ID, nil
}

func serviceAction(name, service string) action { return action{name, service} }

// AutoConnected tells whether snapd connects such a plug of a local snap by itself.
func AutoConnected(p Plug) bool { return p.Interface == "network" || p.Interface == "network-bind" }

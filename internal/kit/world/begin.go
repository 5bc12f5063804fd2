package world

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
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
		return slices.Concat(hook("prepare-plug-"+plug), []task{w.linkTask(c, "connect", instance, plug, true)},
			hook("connect-plug-"+plug))
	})
}

// linkTask plans to connect or disconnect a plug.
func (w *World) linkTask(c *change, kind, instance, plug string, connected bool) task {
	return task{kind: kind, summary: c.Summary, undone: true, do: func(context.Context) error {
		return w.step(c, func() ([]undo, error) { return w.linked(instance, plug, connected) })
	}}
}

// BeginDisconnect begins to disconnect a plug as `snap disconnect` does, after its disconnect-plug hook, whose failure
// does not keep it, and returns the ID of the change. summary is that of the change, "" for the usual one.
func (w *World) BeginDisconnect(instance, plug, summary string) (string, error) {
	return w.beginLink("disconnect-snap", "Disconnect %s:%s from snapd:%s", instance, plug, func(c *change) []task {
		before := tolerant(w.lifecycleHook(c, instance)("disconnect-plug-" + plug))
		tasks := append(before, w.linkTask(c, "disconnect", instance, plug, false))
		c.Summary = cmp.Or(summary, c.Summary)
		return tasks
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
	return c.ID, w.start(c, tasks(c), nil)
}

// lifecycleHook returns a function that plans a hook of a snap, if the snap has it. The caller has the lock.
func (w *World) lifecycleHook(c *change, instance string) func(name string) []task {
	return func(name string) []task {
		if snap := w.state.Snaps[instance]; snap != nil && snap.Has(name) {
			return []task{hookTask(instance, name, func(ctx context.Context) error { return w.runHook(ctx, c, instance, name, nil) })}
		}
		return nil
	}
}

// BeginConfigure begins to set options of a snap, or of the system by the name "system" or "core", as `snap set` does,
// and returns the ID of the change. nil unsets. If the snap has no configure hook, or it fails, the options are as before.
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
	c := w.spawn("configure-snap", fmt.Sprintf("Change configuration of %q snap", instance))
	configure := task{kind: "run-hook", undone: true, summary: fmt.Sprintf("Run configure hook of %q snap", instance)}
	if instance != core {
		configure.snap, configure.hook = instance, "configure"
	}
	configure.do = func(ctx context.Context) error {
		if instance == core {
			if err := w.SetSystem(values); err != nil {
				return &hookError{"configure", err.Error()}
			}
			return nil
		}
		if snap, err := w.Snap(instance); err != nil || !snap.Has("configure") {
			return cmp.Or(err, fmt.Errorf("snap %q has no %q hook", instance, "configure"))
		}
		if err := w.step(c, func() ([]undo, error) { return w.configured(instance, values) }); err != nil {
			return err
		}
		return w.runHook(ctx, c, instance, "configure", nil)
	}
	return c.ID, w.start(c, []task{configure}, nil)
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

// ServiceOptions are how services are started, stopped or restarted.
type ServiceOptions struct {
	Enable  bool `json:"enable"`  // on start: also whenever the machine starts
	Disable bool `json:"disable"` // on stop: no more when the machine starts
	Reload  bool `json:"reload"`  // on restart: without a stop where the service can; here none can
}

// BeginServices begins to start, stop or restart ("start", "stop", "restart") services, named SNAP.SERVICE, and returns
// the ID of the change.
func (w *World) BeginServices(action string, services []string, options ServiceOptions) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	c := w.spawn("service-control", "Running service command")
	var tasks []task
	for len(services) > 0 {
		instance, _, _ := strings.Cut(services[0], ".")
		var own, names []string
		services = slices.DeleteFunc(slices.Clone(services), func(service string) bool {
			name, mine := strings.CutPrefix(service, instance+".")
			if mine {
				own, names = append(own, service), append(names, fmt.Sprintf("%q", name))
			}
			return mine
		})
		summary := fmt.Sprintf("Run service command %q for services [%s] of snap %q", action, strings.Join(names, " "), instance)
		tasks = append(tasks, task{kind: "service-control", summary: summary, do: func(ctx context.Context) error {
			for _, service := range own {
				w.act(ctx, instance, serviceAction(action, service, options))
			}
			return nil
		}})
	}
	return c.ID, w.start(c, tasks, nil)
}

func serviceAction(name, service string, options ServiceOptions) action {
	return action{name, service, options}
}

// AutoConnected tells whether snapd connects such a plug of a local snap by itself.
func AutoConnected(p Plug) bool { return p.Interface == "network" || p.Interface == "network-bind" }

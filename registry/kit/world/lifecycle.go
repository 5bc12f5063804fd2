package world

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

func (w *World) install(ctx context.Context, snap Snap) error {
	w.mu.Lock()
	_, refresh := w.state.Snaps[snap.Instance()]
	w.mu.Unlock()
	if err := w.Put(snap); err != nil {
		return err
	}
	instance := snap.Instance()
	kind, verb, hooks := "install-snap", "Install", []string{"install", "default-configure", startServices, "configure"}
	if refresh {
		kind, verb, hooks = "refresh-snap", "Refresh", []string{"post-refresh", startServices, "configure"}
	}
	err := w.runLifecycle(ctx, kind, fmt.Sprintf("%s %q snap", verb, instance), instance, hooks...)
	if err != nil && !refresh {
		if undo := w.Drop(instance); undo != nil {
			return undo
		}
	}
	return err
}

// Remove removes a snap as `snap remove` does, after its remove hook, which may fail.
func (w *World) Remove(ctx context.Context, instance string) error {
	snap, err := w.Snap(instance)
	if err != nil {
		return err
	}
	for _, service := range snap.ServiceNames() {
		w.act(ctx, instance, action{"stop", service})
	}
	// As on snapd, where its failure is only logged.
	_ = w.runLifecycle(ctx, "remove-snap", fmt.Sprintf("Remove %q snap", instance), instance, "remove")
	return w.Drop(instance)
}

// Connect connects a plug as BeginConnect does, and waits for the end.
func (w *World) Connect(ctx context.Context, instance, plug string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginConnect(instance, plug) })
}

// Disconnect disconnects a plug as BeginDisconnect does, and waits for the end.
func (w *World) Disconnect(ctx context.Context, instance, plug string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginDisconnect(instance, plug) })
}

// Configure sets options of a snap as BeginConfigure does, and waits for the end.
func (w *World) Configure(ctx context.Context, instance string, values map[string]any) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginConfigure(instance, values) })
}

// toTheEnd begins a change and waits for its end; a failure is an *Error with the change's words.
func (w *World) toTheEnd(ctx context.Context, begin func() (string, error)) error {
	id, err := begin()
	if err != nil {
		return err
	}
	ready, err := w.Wait(ctx, id)
	if err == nil && ready.Status != Done {
		err = &Error{Message: ready.Err}
	}
	return err
}

// RunHook runs a hook that snapd runs for other reasons than a view, such as check-health, in a change of its own. A hook
// that the snap does not have is an error.
func (w *World) RunHook(ctx context.Context, instance, hook string) error {
	w.mu.Lock()
	snap, err := w.snap(instance)
	if err == nil && !snap.Has(hook) {
		err = badRequest(fmt.Sprintf("snap %q has no %q hook", instance, hook))
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.runLifecycle(ctx, "run-hook", fmt.Sprintf("Run hook %s of snap %q", hook, instance), instance, hook)
}

// startServices stands among hooks for the moment at which services are started.
const startServices = "start-snap-services"

// servicesTask starts those services of a snap that are to run. A service that cannot be started is only told of.
func (w *World) servicesTask(snap *Snap) task {
	instance := snap.Instance()
	var names []string
	for _, name := range sortedKeys(snap.Services) {
		if s := snap.Services[name]; !s.Disabled && !s.Timer {
			names = append(names, name)
		}
	}
	return task{kind: startServices, summary: fmt.Sprintf("Start snap %q (%s) services", instance, snap.Revision),
		do: func(ctx context.Context) error {
			for _, name := range names {
				w.act(ctx, instance, action{"start", instance + "." + name})
			}
			return nil
		}}
}

// runLifecycle runs hooks of a snap, those that it has, in one change and waits for its end.
func (w *World) runLifecycle(ctx context.Context, kind, summary, instance string, hooks ...string) error {
	w.mu.Lock()
	snap, err := w.snap(instance)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	hooks = slices.DeleteFunc(hooks, func(hook string) bool { return !snap.Has(hook) && hook != startServices })
	c := w.spawn(kind, summary)
	var tasks []task
	for _, hook := range hooks {
		if hook == startServices {
			if len(snap.Services) > 0 {
				tasks = append(tasks, w.servicesTask(snap))
			}
			continue
		}
		tasks = append(tasks, hookTask(instance, hook, func(ctx context.Context) error {
			return w.runHook(ctx, c, instance, hook, nil)
		}))
	}
	w.start(c, tasks, nil)
	w.mu.Unlock()
	return w.toTheEnd(ctx, func() (string, error) { return c.ID, nil })
}

// ServiceNames returns the names of a snap's services, sorted, as SNAP.SERVICE.
func (s *Snap) ServiceNames() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		names = append(names, s.Instance()+"."+name)
	}
	return names
}

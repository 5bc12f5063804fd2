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

// Connect connects a plug as `snap connect` does: prepare-plug hook, connection, connect-plug hook.
func (w *World) Connect(ctx context.Context, instance, plug string) error {
	w.mu.Lock()
	err := w.hasPlug(instance, plug)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	summary := fmt.Sprintf("Connect %s:%s to snapd:confdb", instance, plug)
	if err := w.runLifecycle(ctx, "connect-snap", summary, instance, "prepare-plug-"+plug); err != nil {
		return err
	}
	if err := w.Link(instance, plug); err != nil {
		return err
	}
	err = w.runLifecycle(ctx, "connect-snap", summary, instance, "connect-plug-"+plug)
	if err != nil {
		if undo := w.Unlink(instance, plug); undo != nil {
			return undo
		}
	}
	return err
}

// Disconnect disconnects a plug as `snap disconnect` does, after its disconnect-plug hook.
func (w *World) Disconnect(ctx context.Context, instance, plug string) error {
	w.mu.Lock()
	err := w.hasPlug(instance, plug)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	summary := fmt.Sprintf("Disconnect %s:%s from snapd:confdb", instance, plug)
	if err := w.runLifecycle(ctx, "disconnect-snap", summary, instance, "disconnect-plug-"+plug); err != nil {
		return err
	}
	return w.Unlink(instance, plug)
}

// Configure sets options of a snap as `snap set SNAP` does: its configure hook runs on top of them, and if it fails,
// they are as before. nil unsets.
func (w *World) Configure(ctx context.Context, instance string, values map[string]any) error {
	var before map[string]any
	err := w.change(func() error {
		if _, err := w.snap(instance); err != nil {
			return err
		}
		before = w.state.Config[instance]
		return w.configure(instance, values)
	})
	if err != nil {
		return err
	}
	err = w.runLifecycle(ctx, "configure-snap", fmt.Sprintf("Change configuration of %q snap", instance), instance, "configure")
	if err != nil {
		undo := w.change(func() error {
			w.state.Config[instance] = before
			return nil
		})
		if undo != nil {
			return undo
		}
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
	ready, err := w.Wait(ctx, c.ID)
	if err != nil {
		return err
	}
	if ready.Status != Done {
		return &Error{Message: ready.Err}
	}
	return nil
}

// ServiceNames returns the names of a snap's services, sorted, as SNAP.SERVICE.
func (s *Snap) ServiceNames() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		names = append(names, s.Instance()+"."+name)
	}
	return names
}

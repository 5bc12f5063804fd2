package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Install installs a snap as `snap install --dangerous` does: install and default-configure hooks, services, configure
// hook, in one change. A snap that is installed is refreshed: pre-refresh hook of the one before, services stopped,
// post-refresh hook, services, configure hook; its revision and its data stay as they are. Connect connects it. It
// returns when the change is over, with an *Error if it failed, after which all is as before.
func (w *World) Install(ctx context.Context, snap Snap) error {
	snap, err := installable(snap)
	if err != nil {
		return err
	}
	instance := snap.Instance()
	put := func(c *change) task {
		return task{kind: "link-snap", undone: true,
			summary: fmt.Sprintf("Make snap %q (%s) available to the system", instance, snap.Revision),
			do: func(context.Context) error {
				return w.step(c, func() ([]undo, error) { return w.put(snap), nil })
			}}
	}
	w.mu.Lock()
	old, refresh := w.state.Snaps[instance]
	w.mu.Unlock()
	if refresh {
		old := old.copied()
		return w.live(ctx, "refresh-snap", fmt.Sprintf("Refresh %q snap", instance), func(c *change) []task {
			return slices.Concat(w.hookOf(c, &old, "pre-refresh"), w.stopTask(&old), []task{put(c)},
				w.hookOf(c, &snap, "post-refresh"), w.startTask(&snap), w.hookOf(c, &snap, "configure"))
		})
	}
	err = w.live(ctx, "install-snap", fmt.Sprintf("Install %q snap", instance), func(c *change) []task {
		return slices.Concat([]task{put(c)}, w.hookOf(c, &snap, "install"), w.hookOf(c, &snap, "default-configure"),
			w.startTask(&snap), w.hookOf(c, &snap, "configure"))
	})
	if _, there := w.Snap(instance); there != nil && w.options.Services != nil {
		for _, name := range sortedKeys(snap.Services) { // it is gone again, and what it has started is not
			err = errors.Join(err, w.options.Services.Service(ctx, "stop", snap, name))
		}
	}
	return err
}

// Remove removes a snap as BeginRemove does, and waits for the end.
func (w *World) Remove(ctx context.Context, instance string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginRemove(instance) })
}

// BeginRemove begins to remove a snap as `snap remove` does, and returns the ID of the change: services stopped, remove
// hook, disconnect-plug hooks, whose failures do not keep it.
func (w *World) BeginRemove(instance string) (string, error) {
	snap, err := w.Snap(instance)
	if err != nil {
		return "", err
	}
	return w.beginLife("remove-snap", fmt.Sprintf("Remove %q snap", instance), func(c *change) []task {
		hooks := w.hookOf(c, &snap, "remove")
		for _, plug := range sortedKeys(snap.Plugs) {
			if w.state.Connections[connection(instance, plug)] {
				hooks = append(hooks, w.hookOf(c, &snap, "disconnect-plug-"+plug)...)
			}
		}
		for i := range hooks {
			hooks[i].tolerant = ignoring(hooks[i].summary)
		}
		return slices.Concat(w.stopTask(&snap), hooks, []task{{kind: "discard-snap",
			summary: fmt.Sprintf("Remove snap %q (%s) from the system", instance, snap.Revision),
			do:      func(context.Context) error { return w.Drop(instance) }}})
	})
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
	return w.live(ctx, "run-hook", fmt.Sprintf("Run hook %s of snap %q", hook, instance), func(c *change) []task {
		return w.lifecycleHook(c, instance)(hook)
	})
}

// hookOf plans a hook of a snap, if the snap has it.
func (w *World) hookOf(c *change, snap *Snap, hook string) []task {
	if !snap.Has(hook) {
		return nil
	}
	instance := snap.Instance()
	planned := hookTask(instance, hook, func(ctx context.Context) error { return w.runHook(ctx, c, instance, hook, nil) })
	if hook == "configure" {
		planned.summary = fmt.Sprintf("Run configure hook of %q snap if present", instance)
	}
	return []task{planned}
}

// startTask plans to start those services of a snap that are to run. One that cannot be started is only told of.
func (w *World) startTask(snap *Snap) []task {
	return w.servicesTask(snap, "start", func(s Service) bool { return !s.Disabled && !s.Timer })
}

// stopTask plans to stop all services of a snap.
func (w *World) stopTask(snap *Snap) []task {
	return w.servicesTask(snap, "stop", func(Service) bool { return true })
}

func (w *World) servicesTask(snap *Snap, verb string, wanted func(Service) bool) []task {
	if len(snap.Services) == 0 {
		return nil
	}
	instance := snap.Instance()
	summary := fmt.Sprintf("%s snap %q (%s) services", strings.ToUpper(verb[:1])+verb[1:], instance, snap.Revision)
	return []task{{kind: verb + "-snap-services", summary: summary, do: func(ctx context.Context) error {
		for _, name := range sortedKeys(snap.Services) {
			if wanted(snap.Services[name]) {
				w.act(ctx, instance, action{verb, instance + "." + name})
			}
		}
		return nil
	}}}
}

// live carries out a change of a snap's life and waits for its end.
func (w *World) live(ctx context.Context, kind, summary string, tasks func(*change) []task) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.beginLife(kind, summary, tasks) })
}

func (w *World) beginLife(kind, summary string, tasks func(*change) []task) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	c := w.spawn(kind, summary)
	return c.ID, w.start(c, tasks(c), nil)
}

// ServiceNames returns the names of a snap's services, sorted, as SNAP.SERVICE.
func (s *Snap) ServiceNames() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		names = append(names, s.Instance()+"."+name)
	}
	return names
}

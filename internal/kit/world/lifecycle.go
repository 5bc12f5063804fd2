package world

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Install installs a snap as BeginInstall does, and waits for the end. An *Error says that it failed, after which all is as
// before.
func (w *World) Install(ctx context.Context, snap Snap) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginInstall(snap) })
}

// BeginInstall begins to install a snap as `snap install` of a file does, or `snap try` of a folder, and returns the ID of
// the change: plugs that connect by themselves with their hooks, install and default-configure hooks, services, configure
// hook. A snap that is installed is refreshed: pre-refresh hook of the one before, services stopped, post-refresh hook,
// services, configure hook; its revision and its data stay as they are. Other plugs Connect connects.
func (w *World) BeginInstall(snap Snap) (string, error) {
	snap, err := installable(snap)
	if err != nil {
		return "", err
	}
	instance := snap.Instance()
	kind, summary := "install-snap", fmt.Sprintf("Install %q snap from file %q", instance, cmp.Or(snap.Dir, instance+".snap"))
	if snap.Try {
		kind, summary = "try-snap", fmt.Sprintf("Try %q snap from %q", instance, snap.Dir)
	}
	return w.beginLife(kind, summary, []string{instance}, func(c *change) []task {
		tasks := []task{
			{kind: "prerequisites", summary: fmt.Sprintf("Ensure prerequisites for %q are available", instance)},
			{kind: "prepare-snap", summary: fmt.Sprintf("Prepare snap %q (unset)", snap.Dir), undone: true},
			{kind: "prerequisites", summary: fmt.Sprintf("Wait until prerequisites for %q are available", instance)},
			{kind: "mount-snap", summary: unset("Mount snap", instance, ""), undone: true},
		}
		old := w.state.Snaps[instance]
		if old != nil {
			before := old.copied()
			tasks = append(tasks, w.hookOf(c, &before, "pre-refresh", "pre-refresh")...)
			tasks = append(tasks, w.stopTask(&before)...)
			tasks = append(tasks, task{kind: "unlink-current-snap", undone: true,
				summary: fmt.Sprintf("Make current revision for snap %q unavailable", instance)})
		}
		tasks = append(tasks,
			task{kind: "copy-snap-data", summary: fmt.Sprintf("Copy snap %q data", instance), undone: true},
			task{kind: "setup-profiles", summary: unset("Prepare snap", instance, " for security profile setup"), undone: true},
			task{kind: "link-snap", undone: true, summary: unset("Make snap", instance, " available to the system"),
				do: func(context.Context) error { return w.step(c, func() ([]undo, error) { return w.put(snap), nil }) }},
			task{kind: "auto-connect", undone: true,
				summary: fmt.Sprintf("Automatically connect eligible plugs and slots of snap %q", instance)})
		tasks = append(tasks, w.autoConnect(c, &snap, old)...)
		tasks = append(tasks,
			task{kind: "set-auto-aliases", summary: fmt.Sprintf("Set automatic aliases for snap %q", instance), undone: true},
			task{kind: "setup-aliases", summary: fmt.Sprintf("Setup snap %q aliases", instance), undone: true})
		if old != nil {
			tasks = append(tasks, w.hookOf(c, &snap, "post-refresh", "post-refresh")...)
		} else {
			tasks = append(tasks, w.hookOf(c, &snap, "install", "install")...)
			tasks = append(tasks, w.hookOf(c, &snap, "default-configure", "default-configure")...)
		}
		c.cleanup = func() error { return w.stopLeft(&snap) }
		return affecting(instance, slices.Concat(tasks, w.startTask(&snap), w.hookOf(c, &snap, "configure", "configure"), []task{
			{kind: "run-hook", summary: fmt.Sprintf("Run health check of %q snap", instance)}}))
	})
}

// autoConnect plans to connect the plugs that connect by themselves: with their hooks, before the install hook. The caller
// has the lock.
func (w *World) autoConnect(c *change, snap, old *Snap) []task {
	var before, connect, after []task
	instance := snap.Instance()
	for _, plug := range sortedKeys(snap.Plugs) {
		if !snap.connectsItself(plug, old) {
			continue
		}
		for _, hook := range []struct {
			name  string
			tasks *[]task
		}{{"prepare-plug-" + plug, &before}, {"connect-plug-" + plug, &after}} {
			if snap.Has(hook.name) {
				*hook.tasks = append(*hook.tasks, hookTask(instance, hook.name, func(ctx context.Context) error {
					return w.runHook(ctx, c, instance, hook.name, nil)
				}))
			}
		}
		link := w.linkTask(c, "connect", instance, plug, true)
		link.summary = fmt.Sprintf("Connect %s:%s to snapd:%s", instance, plug, snap.Plugs[plug].Interface)
		connect = append(connect, link)
	}
	return slices.Concat(before, connect, after)
}

// connectsItself tells whether snapd connects a plug of the snap by itself when it is installed, or refreshed from an old
// one without the plug: else somebody may have disconnected it.
func (s *Snap) connectsItself(plug string, old *Snap) bool {
	p := s.Plugs[plug]
	if old != nil && old.Plugs[plug] != (Plug{}) {
		return false
	}
	return AutoConnected(p) || p.Interface == "confdb" && s.Publisher != "" && s.Publisher == p.Account
}

// stopLeft stops services of a snap that is not there any more: its installation has failed after they were started.
func (w *World) stopLeft(snap *Snap) error {
	if _, there := w.Snap(snap.Instance()); there == nil || w.options.Services == nil {
		return nil
	}
	var err error
	for _, name := range sortedKeys(snap.Services) {
		err = errors.Join(err, w.options.Services.Service(context.WithoutCancel(w.life), "stop", *snap, name))
	}
	return err
}

// about words what is done to a revision of a snap; unset, what is done when snapd does not know it yet.
func about(verb string, snap *Snap, what string) string {
	return fmt.Sprintf("%s %q (%s)%s", verb, snap.Instance(), snap.Revision, what)
}

func unset(verb, instance, what string) string {
	return fmt.Sprintf("%s %q (unset)%s", verb, instance, what)
}

// Remove removes a snap as BeginRemove does, and waits for the end.
func (w *World) Remove(ctx context.Context, instance string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginRemove(false, instance) })
}

// BeginRemove begins to remove a snap, or several, as `snap remove` does, and returns the ID of the change: services
// stopped, remove hook, disconnect-plug hooks, whose failures do not keep it. One that is not there is refused; of several
// it is passed over, as snapd does. With purge no snapshot is spoken of; there is none anyway.
func (w *World) BeginRemove(purge bool, instances ...string) (string, error) {
	var snaps []Snap
	var there, quoted []string
	for _, instance := range instances {
		snap, err := w.Snap(instance)
		if err != nil && len(instances) > 1 {
			continue
		}
		if err != nil {
			return "", &Error{Status: http.StatusBadRequest, Kind: KindSnapNotInstalled, Value: instance,
				Message: fmt.Sprintf("snap %q is not installed", instance)}
		}
		snaps, there, quoted = append(snaps, snap), append(there, instance), append(quoted, fmt.Sprintf("%q", instance))
	}
	summary := fmt.Sprintf("Remove %s snap", strings.Join(quoted, ", "))
	if len(instances) > 1 {
		summary = "Remove snaps " + strings.Join(quoted, ", ")
	}
	return w.beginLife("remove-snap", summary, there, func(c *change) []task {
		var tasks []task
		for _, snap := range snaps {
			tasks = append(tasks, w.removal(c, &snap, purge)...)
		}
		return tasks
	})
}

// removal plans to remove a snap. The caller has the lock.
func (w *World) removal(c *change, snap *Snap, purge bool) []task {
	instance := snap.Instance()
	tasks := slices.Concat(w.stopTask(snap), tolerant(w.hookOf(c, snap, "remove", "remove")), []task{
		{kind: "auto-disconnect", summary: fmt.Sprintf("Disconnect interfaces of snap %q", instance)}})
	for _, plug := range sortedKeys(snap.Plugs) {
		if !w.state.Connections[connection(instance, plug)] {
			continue
		}
		link := w.linkTask(c, "disconnect", instance, plug, false)
		link.summary, link.undone = fmt.Sprintf("Disconnect %s:%s from snapd:%s", instance, plug, snap.Plugs[plug].Interface), false
		tasks = slices.Concat(tasks, tolerant(w.lifecycleHook(c, instance)("disconnect-plug-"+plug)), []task{link})
	}
	if !purge {
		tasks = append(tasks, task{kind: "save-snapshot", summary: fmt.Sprintf("Save data of snap %q in automatic snapshot set", instance)})
	}
	return affecting(instance, append(tasks,
		task{kind: "remove-aliases", summary: fmt.Sprintf("Remove aliases for snap %q", instance)},
		task{kind: "unlink-snap", summary: fmt.Sprintf("Make snap %q unavailable to the system", instance)},
		task{kind: "remove-profiles", summary: about("Remove security profile for snap", snap, "")},
		task{kind: "clear-snap", summary: about("Remove data for snap", snap, "")},
		task{kind: "discard-snap", summary: about("Remove snap", snap, " from the system"),
			do: func(context.Context) error { return w.Drop(instance) }}))
}

// affecting says of tasks that they are steps of a snap's life.
func affecting(instance string, tasks []task) []task {
	for i := range tasks {
		tasks[i].affects = instance
	}
	return tasks
}

// tolerant makes failures of hooks only be told.
func tolerant(hooks []task) []task {
	for i := range hooks {
		hooks[i].tolerant = ignoring(hooks[i].hook)
	}
	return hooks
}

// Connect connects a plug as BeginConnect does, and waits for the end.
func (w *World) Connect(ctx context.Context, instance, plug string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginConnect(instance, plug) })
}

// Disconnect disconnects a plug as BeginDisconnect does, and waits for the end.
func (w *World) Disconnect(ctx context.Context, instance, plug string) error {
	return w.toTheEnd(ctx, func() (string, error) { return w.BeginDisconnect(instance, plug, "") })
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
		err = &Error{Message: cmp.Or(ready.Err, fmt.Sprintf("change %s was aborted", id))}
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
	return w.toTheEnd(ctx, func() (string, error) {
		return w.beginLife("run-hook", fmt.Sprintf("Run hook %s of snap %q", hook, instance), nil, func(c *change) []task {
			return w.lifecycleHook(c, instance)(hook)
		})
	})
}

// hookOf plans a hook of a snap, if the snap has it; words is what its task calls it.
func (w *World) hookOf(c *change, snap *Snap, hook, words string) []task {
	if !snap.Has(hook) {
		return nil
	}
	instance := snap.Instance()
	planned := hookTask(instance, hook, func(ctx context.Context) error { return w.runHook(ctx, c, instance, hook, nil) })
	planned.summary = fmt.Sprintf("Run %s hook of %q snap if present", words, instance)
	return []task{planned}
}

// startTask plans to start those services of a snap that are to run. One that cannot be started is only told of.
func (w *World) startTask(snap *Snap) []task {
	return w.servicesTask(snap, "start", unset("Start snap", snap.Instance(), " services"),
		func(s Service) bool { return !s.Disabled && !s.Timer })
}

// stopTask plans to stop all services of a snap.
func (w *World) stopTask(snap *Snap) []task {
	return w.servicesTask(snap, "stop", fmt.Sprintf("Stop snap %q services", snap.Instance()), func(Service) bool { return true })
}

func (w *World) servicesTask(snap *Snap, verb, summary string, wanted func(Service) bool) []task {
	if len(snap.Services) == 0 {
		return nil
	}
	instance := snap.Instance()
	return []task{{kind: verb + "-snap-services", summary: summary, undone: true, do: func(ctx context.Context) error {
		for _, name := range sortedKeys(snap.Services) {
			if wanted(snap.Services[name]) {
				w.act(ctx, instance, action{name: verb, service: instance + "." + name})
			}
		}
		return nil
	}}}
}

// beginLife begins a change of the life of snaps, which it names.
func (w *World) beginLife(kind, summary string, snaps []string, tasks func(*change) []task) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "", errClosed
	}
	c := w.spawn(kind, summary)
	if len(snaps) > 0 {
		c.Data = map[string]any{"snap-names": snaps}
	}
	if len(snaps) == 1 && kind != "remove-snap" {
		c.Data["snap-name"] = snaps[0]
	}
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

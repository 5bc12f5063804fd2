package changes

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/facts"
)

// beginID begins a plan and returns the ID of its change.
func (m *Manager) beginID(p plan) (string, error) {
	c, err := m.begin(p)
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// Complete returns a function that waits for the end of a change. Its arguments are the results of the method that began the change.
// It returns the error of that method, or an *facts.Error with the change's error if the change fails.
//
//	err := m.Complete(ctx)(m.Install(snap))
func (m *Manager) Complete(ctx context.Context) func(id string, err error) error {
	return func(id string, err error) error {
		if err != nil {
			return err
		}
		ready, err := m.Wait(ctx, id)
		if err == nil && ready.Status != Done {
			err = &facts.Error{Message: cmp.Or(ready.Err, fmt.Sprintf("change %s was aborted", id))}
		}
		return err
	}
}

// Install begins to install a snap as `snap install` of a file does, or `snap try` of a folder, and returns the ID of the
// change: plugs that connect by themselves with their hooks, install and default-configure hooks, services, configure hook.
// It refreshes a snap that is installed: pre-refresh hook of the installed one, services stopped, post-refresh hook, services,
// configure hook. Revision and data stay.
func (m *Manager) Install(snap facts.Snap) (string, error) {
	snap, err := snap.Complete()
	if err != nil {
		return "", err
	}
	instance := snap.Instance()
	kind, summary := "install-snap", fmt.Sprintf("Install %q snap from file %q", instance, cmp.Or(snap.Dir, instance+".snap"))
	if snap.Try {
		kind, summary = "try-snap", fmt.Sprintf("Try %q snap from %q", instance, snap.Dir)
	}
	tasks := []task{
		{kind: "prerequisites", summary: fmt.Sprintf("Ensure prerequisites for %q are available", instance)},
		{kind: "prepare-snap", summary: fmt.Sprintf("Prepare snap %q (unset)", snap.Dir), undone: true},
		{kind: "prerequisites", summary: fmt.Sprintf("Wait until prerequisites for %q are available", instance)},
		{kind: "mount-snap", summary: unset("Mount snap", instance, ""), undone: true},
	}
	var old *facts.Snap
	if installed, err := m.facts.Now().Snap(instance); err == nil {
		old = &installed
		tasks = append(tasks, m.namedHook(old, "pre-refresh")...)
		tasks = append(tasks, m.stopTask(old)...)
		tasks = append(tasks, task{kind: "unlink-current-snap", undone: true,
			summary: fmt.Sprintf("Make current revision for snap %q unavailable", instance)})
	}
	tasks = append(tasks,
		task{kind: "copy-snap-data", summary: fmt.Sprintf("Copy snap %q data", instance), undone: true},
		task{kind: "setup-profiles", summary: unset("Prepare snap", instance, " for security profile setup"), undone: true},
		task{kind: "link-snap", undone: true, summary: unset("Make snap", instance, " available to the system"),
			do: func(_ context.Context, c *change) error {
				return m.step(c, func(d *facts.Draft) ([]facts.Undo, error) { return d.Install(snap), nil })
			}},
		task{kind: "auto-connect", undone: true,
			summary: fmt.Sprintf("Automatically connect eligible plugs and slots of snap %q", instance)})
	tasks = append(tasks, m.autoConnect(&snap, old)...)
	tasks = append(tasks,
		task{kind: "set-auto-aliases", summary: fmt.Sprintf("Set automatic aliases for snap %q", instance), undone: true},
		task{kind: "setup-aliases", summary: fmt.Sprintf("Setup snap %q aliases", instance), undone: true})
	if old != nil {
		tasks = append(tasks, m.namedHook(&snap, "post-refresh")...)
	} else {
		tasks = append(tasks, m.namedHook(&snap, "install")...)
		tasks = append(tasks, m.namedHook(&snap, "default-configure")...)
	}
	tasks = slices.Concat(tasks, m.startTask(&snap), m.namedHook(&snap, "configure"), []task{
		{kind: "run-hook", summary: fmt.Sprintf("Run health check of %q snap", instance)}})
	return m.beginID(plan{kind: kind, summary: summary, tasks: affecting(instance, tasks),
		data: map[string]any{"snap-names": []string{instance}, "snap-name": instance}, cleanup: func() { m.stopRemaining(&snap) }})
}

// autoConnect plans to connect the plugs that connect by themselves, with their hooks.
func (m *Manager) autoConnect(snap, old *facts.Snap) []task {
	var before, connect, after []task
	for _, plug := range sortedKeys(snap.Plugs) {
		if !snap.ConnectsItself(plug, old) {
			continue
		}
		before = append(before, m.plugHook(snap, "prepare-plug-"+plug)...)
		connect = append(connect, m.connectTask(snap, plug, true))
		after = append(after, m.plugHook(snap, "connect-plug-"+plug)...)
	}
	return slices.Concat(before, connect, after)
}

// stopRemaining stops the services of a snap whose installation has failed after they were started.
func (m *Manager) stopRemaining(snap *facts.Snap) {
	if _, err := m.facts.Now().Snap(snap.Instance()); err == nil || m.options.Services == nil {
		return
	}
	for _, name := range sortedKeys(snap.Services) {
		_ = m.options.Services.Service(context.WithoutCancel(m.life), "stop", *snap, name) // the change has failed already
	}
}

// about returns a task's summary about a revision of a snap; unset returns one about a revision that is not known yet.
func about(verb string, snap *facts.Snap, what string) string {
	return fmt.Sprintf("%s %q (%s)%s", verb, snap.Instance(), snap.Revision, what)
}

func unset(verb, instance, what string) string {
	return fmt.Sprintf("%s %q (unset)%s", verb, instance, what)
}

// Remove begins to remove snaps as `snap remove` does, and returns the ID of the change: services stopped, remove hook,
// disconnect-plug hooks; a hook that fails prevents nothing. A snap that is not installed is an *facts.Error; among several it
// is skipped, as on snapd. With purge no task speaks of a snapshot; there is none anyway.
func (m *Manager) Remove(purge bool, instances ...string) (string, error) {
	var there, quoted []string
	var tasks []task
	now := m.facts.Now()
	for _, instance := range instances {
		snap, err := now.Snap(instance)
		if err != nil && len(instances) > 1 {
			continue
		}
		if err != nil {
			return "", &facts.Error{Status: http.StatusBadRequest, Kind: facts.KindSnapNotInstalled, Value: instance,
				Message: fmt.Sprintf("snap %q is not installed", instance)}
		}
		there, quoted = append(there, instance), append(quoted, fmt.Sprintf("%q", instance))
		tasks = append(tasks, m.removal(now, &snap, purge)...)
	}
	p := plan{kind: "remove-snap", summary: fmt.Sprintf("Remove %s snap", strings.Join(quoted, ", ")), tasks: tasks}
	if len(instances) > 1 {
		p.summary = "Remove snaps " + strings.Join(quoted, ", ")
	}
	if there != nil {
		p.data = map[string]any{"snap-names": there}
	}
	return m.beginID(p)
}

// removal plans to remove a snap.
func (m *Manager) removal(now *facts.Facts, snap *facts.Snap, purge bool) []task {
	instance := snap.Instance()
	tasks := slices.Concat(m.stopTask(snap), tolerant(m.namedHook(snap, "remove")), []task{
		{kind: "auto-disconnect", summary: fmt.Sprintf("Disconnect interfaces of snap %q", instance)}})
	for _, plug := range sortedKeys(snap.Plugs) {
		if now.Connected(instance, plug) {
			disconnect := m.connectTask(snap, plug, false)
			disconnect.undone = false
			tasks = append(append(tasks, tolerant(m.plugHook(snap, "disconnect-plug-"+plug))...), disconnect)
		}
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
			do: func(context.Context, *change) error { return m.facts.Remove(instance) }}))
}

// affecting marks tasks as part of a snap's installation or removal.
func affecting(instance string, tasks []task) []task {
	for i := range tasks {
		tasks[i].affects = instance
	}
	return tasks
}

// tolerant makes a change survive failures of hooks.
func tolerant(hooks []task) []task {
	for i := range hooks {
		hooks[i].tolerant = ignoring(hooks[i].hook)
	}
	return hooks
}

// Run begins to run a hook that snapd runs for other reasons than a view, such as check-health, and returns the ID of the
// change. It returns an *facts.Error if the snap does not have the hook.
func (m *Manager) Run(instance, hook string) (string, error) {
	snap, err := m.facts.Now().Snap(instance)
	if err == nil && !snap.Has(hook) {
		err = badRequest(fmt.Sprintf("snap %q has no %q hook", instance, hook))
	}
	if err != nil {
		return "", err
	}
	return m.beginID(plan{kind: "run-hook", summary: fmt.Sprintf("Run hook %s of snap %q", hook, instance),
		tasks: m.plugHook(&snap, hook)})
}

// plugHook plans a hook, if the snap has it.
func (p *performer) plugHook(snap *facts.Snap, hook string) []task {
	if !snap.Has(hook) {
		return nil
	}
	instance := snap.Instance()
	return []task{hookTask(instance, hook, func(ctx context.Context, c *change) error { return p.runHook(ctx, c, instance, hook, nil) })}
}

// namedHook is plugHook with snapd's summary for hooks of a snap's installation or removal.
func (p *performer) namedHook(snap *facts.Snap, hook string) []task {
	tasks := p.plugHook(snap, hook)
	for i := range tasks {
		tasks[i].summary = fmt.Sprintf("Run %s hook of %q snap if present", hook, snap.Instance())
	}
	return tasks
}

// startTask plans to start the services of a snap, except disabled ones and those with a timer.
func (p *performer) startTask(snap *facts.Snap) []task {
	return p.servicesTask(snap, "start", unset("Start snap", snap.Instance(), " services"),
		func(s facts.Service) bool { return !s.Disabled && !s.Timer })
}

// stopTask plans to stop all services of a snap.
func (p *performer) stopTask(snap *facts.Snap) []task {
	return p.servicesTask(snap, "stop", fmt.Sprintf("Stop snap %q services", snap.Instance()), func(facts.Service) bool { return true })
}

func (p *performer) servicesTask(snap *facts.Snap, verb, summary string, wanted func(facts.Service) bool) []task {
	if len(snap.Services) == 0 {
		return nil
	}
	instance := snap.Instance()
	return []task{{kind: verb + "-snap-services", summary: summary, undone: true, do: func(ctx context.Context, _ *change) error {
		for _, name := range sortedKeys(snap.Services) {
			if wanted(snap.Services[name]) {
				p.ControlService(ctx, instance, Action{Name: verb, Service: instance + "." + name})
			}
		}
		return nil
	}}}
}

package changes

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"aspects-poc/internal/kit/world/facts"
)

// Connect begins to connect a plug as `snap connect` does, and returns the ID of the change: prepare-plug hook, connection,
// connect-plug hook. A hook that fails undoes it.
func (m *Manager) Connect(instance, plug string) (string, error) {
	now := m.facts.Now()
	if err := now.CheckPlug(instance, plug); err != nil {
		return "", err
	}
	snap, _ := now.Snap(instance)
	connect := m.connectTask(&snap, plug, true)
	p := plan{kind: "connect-snap", summary: connect.summary}
	if !now.Connected(instance, plug) { // else, as on snapd, a change without tasks
		p.tasks = slices.Concat(m.plugHook(&snap, "prepare-plug-"+plug), []task{connect}, m.plugHook(&snap, "connect-plug-"+plug))
	}
	return m.beginID(p)
}

// Disconnect begins to disconnect a plug as `snap disconnect` does, and returns the ID of the change: disconnect-plug hook,
// which prevents nothing if it fails, and disconnection. summary is that of the change, "" for the usual one.
func (m *Manager) Disconnect(instance, plug, summary string) (string, error) {
	now := m.facts.Now()
	if err := now.CheckPlug(instance, plug); err != nil {
		return "", err
	}
	snap, _ := now.Snap(instance)
	disconnect := m.connectTask(&snap, plug, false)
	return m.beginID(plan{kind: "disconnect-snap", summary: cmp.Or(summary, disconnect.summary),
		tasks: append(tolerant(m.plugHook(&snap, "disconnect-plug-"+plug)), disconnect)})
}

// connectTask plans to connect or disconnect a plug.
func (p *performer) connectTask(snap *facts.Snap, plug string, connected bool) task {
	instance := snap.Instance()
	t := task{kind: "disconnect", undone: true,
		summary: fmt.Sprintf("Disconnect %s:%s from snapd:%s", instance, plug, snap.Plugs[plug].Interface)}
	act := (*facts.Draft).Disconnect
	if connected {
		t.kind, act = "connect", (*facts.Draft).Connect
		t.summary = fmt.Sprintf("Connect %s:%s to snapd:%s", instance, plug, snap.Plugs[plug].Interface)
	}
	t.do = func(_ context.Context, c *change) error {
		return p.step(c, func(d *facts.Draft) ([]facts.Undo, error) { return act(d, instance, plug) })
	}
	return t
}

// Configure begins to set options of a snap as `snap set` does, or of the system, named "system" or "core", and returns the ID
// of the change. nil unsets. If the snap has no configure hook, or the hook fails, the options stay as they were.
func (m *Manager) Configure(instance string, values map[string]any) (string, error) {
	if instance == "system" {
		instance = facts.Core
	}
	configure := task{kind: "run-hook", undone: true, summary: fmt.Sprintf("Run configure hook of %q snap", instance)}
	if instance == facts.Core {
		configure.do = func(context.Context, *change) error {
			if err := m.facts.SetSystem(values); err != nil {
				return &hookError{"configure", err.Error()}
			}
			return nil
		}
	} else {
		if _, err := m.facts.Now().Snap(instance); err != nil {
			return "", err
		}
		configure.snap, configure.hook = instance, "configure"
		configure.do = func(ctx context.Context, c *change) error {
			if snap, err := m.facts.Now().Snap(instance); err != nil || !snap.Has("configure") {
				return cmp.Or(err, fmt.Errorf("snap %q has no %q hook", instance, "configure"))
			}
			err := m.step(c, func(d *facts.Draft) ([]facts.Undo, error) { return d.Configure(instance, values) })
			if err != nil {
				return err
			}
			return m.runHook(ctx, c, instance, "configure", nil)
		}
	}
	return m.beginID(plan{kind: "configure-snap", summary: fmt.Sprintf("Change configuration of %q snap", instance), tasks: []task{configure}})
}

// Package world imitates a machine with snapd 2.77.1 as far as confdb is concerned. Its main type is World, which has
// three parts:
//
//	facts    the state: confdb-schemas, values, snaps, connections, options; in memory or in a folder
//	changes  the acts: reads and writes with the hooks of snaps, installation and removal of snaps
//	snapctl  the answers to calls of snapctl
//
// A method of facts changes one thing. The method of changes with the same name does all that snapd does, with hooks. Package rest
// serves a World on sockets, and package hookrun runs its hooks as processes.
//
//	w, err := world.Open(dir, changes.Options{Runner: hooks})
//	defer w.Close()
//	err = w.Facts.Acknowledge(facts.Schema{Parsed: schema})
//	err = w.Changes.Complete(ctx)(w.Changes.Install(snap))
//	output, err := w.Snapctl.Run(ctx, snapctl.Call{Cookie: cookie, Args: args})
package world

import (
	"fmt"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
)

// A World is an imitated machine. It is safe for concurrent use; hooks use it while they run.
type World struct {
	Facts   *facts.Store
	Changes *changes.Manager
	Snapctl *snapctl.Endpoint
	states  facts.States
}

// Open opens the machine in a folder; with "" all its state is in memory. It returns an error if another process uses the folder, or
// the state in it is damaged.
func Open(dir string, options changes.Options) (*World, error) { return open(dir, nil, options) }

func open(dir string, write facts.WriteFunc, options changes.Options) (*World, error) {
	store, err := facts.Open(dir, write)
	if err != nil {
		return nil, fmt.Errorf("cannot open the machine in %s: %w", dir, err)
	}
	manager, err := changes.Open(store, options)
	if err != nil {
		_ = store.Close() // the first error counts
		return nil, fmt.Errorf("cannot open the machine in %s: %w", dir, err)
	}
	states, _ := options.Services.(facts.States)
	return &World{Facts: store, Changes: manager, Snapctl: snapctl.New(store, manager, states), states: states}, nil
}

// Close ends the hooks that run, waits for their changes to end, and releases the folder. What was committed stays.
func (w *World) Close() error {
	w.Changes.Close()
	return w.Facts.Close()
}

// Snaps returns the installed snaps, with the services that run at the moment, sorted by instance name.
func (w *World) Snaps() []facts.Snap {
	list := w.Facts.Now().Snaps()
	for i, snap := range list {
		list[i] = snap.With(w.states)
	}
	return list
}

// Snap returns an installed snap, with the services that run at the moment. It returns an *facts.Error if there is none.
func (w *World) Snap(instance string) (facts.Snap, error) {
	snap, err := w.Facts.Now().Snap(instance)
	return snap.With(w.states), err
}

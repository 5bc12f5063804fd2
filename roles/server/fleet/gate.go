package fleet

import (
	"slices"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// A gate withholds the changes of the active release from the devices that the release has not admitted. They get the
// release's layers as before the release, and all other layers as they are.
//
// A device gets a later revision when it is admitted. So each change during a release draws two revisions, the first of
// which is for the devices that are not admitted.
type gate struct {
	release   Release
	before    *stack
	own       map[uuid.UUID]Before // the own layers of single devices
	selectors []Selector           // of the layers that the release changes, before and after it
	stages    map[string]Selector  // of the stages, by text
}

// newGate returns the gate of the targets' active release; nil without one.
func newGate(targets Targets, named namedSecrets) (*gate, error) {
	if targets.Release == nil {
		return nil, nil
	}
	g := &gate{release: *targets.Release, own: map[uuid.UUID]Before{}, stages: map[string]Selector{}}
	everyone, labels := targets.Everyone, slices.Clone(targets.Labels)
	var concerns []Concern
	for _, concern := range targets.Concerns {
		if concern.Waiting != nil {
			concern.Revision = *concern.Waiting
		}
		concerns = append(concerns, concern)
	}
	for _, before := range g.release.Before {
		switch name := before.Name; {
		case name.IsDevice():
			g.own[name.Device()] = before
			continue
		case name == Everyone:
			everyone = before.Layer
			g.selectors = append(g.selectors, Selector{})
			continue
		}
		for _, layer := range targets.Labels {
			if layer.Name == before.Name {
				g.selectors = append(g.selectors, layer.Selector)
			}
		}
		labels = slices.DeleteFunc(labels, func(layer Layer) bool { return layer.Name == before.Name })
		if before.Revision > 0 {
			g.selectors = append(g.selectors, before.Selector)
			labels = append(labels, before.Layer)
		}
	}
	sortLayers(labels)
	for _, stage := range g.release.Plan.Stages {
		if stage.Selector == "" {
			continue
		}
		selector, err := ParseSelector(stage.Selector)
		if err != nil {
			return nil, err
		}
		g.stages[stage.Selector] = selector
	}
	var err error
	g.before, err = newStack(everyone, labels, concerns, named)
	return g, err
}

// admitsAs reports whether both gates give the same layers to the same devices.
func (g *gate) admitsAs(other *gate) bool {
	if g == nil || other == nil {
		return g == other
	}
	return g.release.ID == other.release.ID && len(g.release.Progress.Admit) == len(other.release.Progress.Admit)
}

// concerns reports whether the release changes a layer of the device.
func (g *gate) concerns(id uuid.UUID, labels Labels) bool {
	if _, own := g.own[id]; own {
		return true
	}
	return slices.ContainsFunc(g.selectors, func(selector Selector) bool { return selector.Matches(labels) })
}

// stage returns the number of the stage that has admitted a device; 0 for none.
func (g *gate) stage(id uuid.UUID, labels Labels) int {
	return g.release.Progress.Admit.Stage(g.device(id, labels), g.matches(labels))
}

func (g *gate) device(id uuid.UUID, labels Labels) release.Device {
	return release.Device{ID: id, Place: release.Place(g.release.ID, id), Labels: labels}
}

// matches returns a function that reports which stages' selectors match the labels.
func (g *gate) matches(labels Labels) func(selector string) bool {
	return func(selector string) bool { return g.stages[selector].Matches(labels) }
}

// withholds reports whether the device must get the layers as before the release.
func (g *gate) withholds(id uuid.UUID, labels Labels) bool {
	return g != nil && g.concerns(id, labels) && g.stage(id, labels) == 0
}

// ownOf returns a device's own layer and revision as before the release, if the release changes that layer.
func (g *gate) ownOf(id uuid.UUID, own *Layer, revision int64) (*Layer, int64) {
	before, changed := g.own[id]
	if changed {
		if own = &before.Layer; before.Revision == 0 {
			own = nil
		}
	}
	switch {
	case revision > g.release.ID:
		return own, revision - 1
	case changed:
		return own, before.Own
	}
	return own, revision
}

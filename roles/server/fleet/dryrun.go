package fleet

import (
	"context"
	"maps"
	"slices"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// A Preview says for how many devices a change would change the target, and how for the first of them.
type Preview struct {
	Devices int
	Changes []DeviceChange
	Stages  []int // for a release: the number of devices that each stage would add
}

// A DeviceChange is how a device's target would change.
type DeviceChange struct {
	ID      uuid.UUID
	Name    string // "" for none
	Changes []Difference
}

// DryRun returns what a change would do to targets: for how many devices, and how for the first few of them. It changes
// nothing. It returns an error where Set would, or StartRelease if plan is not nil. Plan returns more.
func (f *Fleet) DryRun(ctx context.Context, change Change, plan *release.Plan, few int) (Preview, error) {
	batch := Batch{Changes: []Change{change}, Release: f.released(plan, change.By)}
	ground, after, planned, err := f.prepare(ctx, &batch)
	if err != nil {
		return Preview{}, only(err)
	}
	if planned.Conflict != nil {
		return Preview{}, planned.Conflict
	}
	preview, err := f.preview(ctx, ground, after, batch, few)
	if err == nil {
		preview.Stages, err = f.sizesOf(ctx, ground, after, batch, planned.Layers)
	}
	return preview, err
}

// preview compares the targets of the devices that a batch may concern, before and after. An empty batch may concern
// all devices.
func (f *Fleet) preview(ctx context.Context, before *ground, after *snapshot, batch Batch, few int) (Preview, error) {
	preview := Preview{Changes: []DeviceChange{}}
	_, err := f.scan(ctx, before, after, batch, Section{}, f.store.Devices, func(device Device, old, new *composition) (func() error, error) {
		return func() error { return preview.add(f.secrets, device, old, new, few) }, nil
	})
	return preview, err
}

// with returns the snapshot after changes.
func (s *snapshot) with(changes []Change) (*snapshot, error) {
	targets := s.Targets
	labels := map[LayerName]Layer{}
	for _, layer := range targets.Labels {
		labels[layer.Name] = layer
	}
	for i, change := range changes {
		layer := change.Layer
		layer.Revision = s.Revision + int64(i) + 1
		switch {
		case change.Name == Everyone:
			if targets.Everyone = layer; change.Remove {
				targets.Everyone = Layer{}
			}
		case change.Name.IsLabels() && change.Remove:
			delete(labels, change.Name)
		case change.Name.IsLabels():
			labels[change.Name] = layer
		}
	}
	targets.Labels = slices.Collect(maps.Values(labels))
	sortLayers(targets.Labels)
	return newSnapshot(targets)
}

func (p *Preview) add(s *secrets, device Device, old, new *composition, few int) error {
	if p.Devices++; p.Devices > few {
		return nil
	}
	old, err := old.conceal(s)
	if err != nil {
		return err
	}
	if new, err = new.conceal(s); err != nil {
		return err
	}
	_, was, err := old.on(s, device.ID)
	if err != nil {
		return err
	}
	_, is, err := new.on(s, device.ID)
	if err != nil {
		return err
	}
	p.Changes = append(p.Changes, DeviceChange{ID: device.ID, Name: device.Name, Changes: compare(was, is)})
	return nil
}

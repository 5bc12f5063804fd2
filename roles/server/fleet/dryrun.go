package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
)

// A Preview is what a change would do.
type Preview struct {
	Devices int // how many would get another configuration
	Changes []DeviceChange
}

// A DeviceChange is how one device's target would change.
type DeviceChange struct {
	ID      uuid.UUID
	Changes []Difference
}

// DryRun tells what a change would do, and does not do it: for how many devices, and how for the first few of them. It
// refuses what Set would refuse.
func (f *Fleet) DryRun(ctx context.Context, change Change, few int) (Preview, error) {
	batch := Batch{Changes: []Change{change}}
	if _, err := f.checkAll(ctx, &batch); err != nil {
		return Preview{}, only(err)
	}
	change = batch.Changes[0]
	present, err := f.layer(ctx, change.Name)
	if err != nil && (change.Remove || !errors.Is(err, ErrUnknownLayer)) {
		return Preview{}, err
	}
	if change.Match != nil && *change.Match != present.Revision {
		return Preview{}, &StaleError{Revision: present.Revision}
	}
	if change.Remove && present.Revision == 0 {
		return Preview{}, ErrUnknownLayer
	}
	before := f.targets.Load()
	after, err := before.with(change)
	if err != nil {
		return Preview{}, err
	}
	return f.preview(ctx, before, after, change, few)
}

// preview compares the targets of all devices before and after a change; of a device's layer, those of the device.
func (f *Fleet) preview(ctx context.Context, before, after *snapshot, change Change, few int) (Preview, error) {
	preview := Preview{Changes: []DeviceChange{}}
	if change.Name.IsDevice() {
		device, err := f.store.Device(ctx, change.Name.Device())
		if err != nil {
			return Preview{}, err
		}
		err = preview.add(f.secrets, before, after, device, change, few)
		return preview, err
	}
	for cursor := ""; ; {
		devices, next, err := f.store.Devices(ctx, cursor, scanRows)
		if err != nil {
			return Preview{}, err
		}
		for _, device := range devices {
			if err := preview.add(f.secrets, before, after, device, change, few); err != nil {
				return Preview{}, err
			}
		}
		if next == "" {
			return preview, nil
		}
		cursor = next
	}
}

// with returns the snapshot after a change.
func (s *snapshot) with(change Change) (*snapshot, error) {
	targets := s.Targets
	layer := change.Layer
	layer.Revision = s.Revision + 1
	switch {
	case change.Name == Everyone:
		if targets.Everyone = layer; change.Remove {
			targets.Everyone = Layer{}
		}
	case change.Name.IsLabels():
		targets.Labels = slices.DeleteFunc(slices.Clone(targets.Labels), func(other Layer) bool { return other.Name == layer.Name })
		if !change.Remove {
			targets.Labels = append(targets.Labels, layer)
			slices.SortFunc(targets.Labels, func(a, b Layer) int {
				return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
			})
		}
	}
	return newSnapshot(targets)
}

func (p *Preview) add(s *secrets, before, after *snapshot, device Device, change Change, few int) error {
	old, err := before.compose(device)
	if err != nil {
		return err
	}
	if change.Name.IsDevice() {
		if device.Own = &change.Layer; change.Remove {
			device.Own = nil
		}
	}
	new, err := after.compose(device)
	if err != nil || old.config.Equal(new.config) {
		return err
	}
	if p.Devices++; p.Devices > few {
		return nil
	}
	if old, err = old.conceal(s); err != nil {
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
	p.Changes = append(p.Changes, DeviceChange{ID: device.ID, Changes: compare(was, is)})
	return nil
}

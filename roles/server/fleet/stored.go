package fleet

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// A stored is a store in the form for a Fleet: reads return the short names of views and opened secrets, and writes
// seal secrets first. No other type of this package knows spellings or seals.
type stored struct {
	Store
	names names
	seals *seals // nil if nothing is sealed
}

func (s stored) device(device Device, err error) (Device, error) {
	if err != nil {
		return Device{}, err
	}
	if err := s.seals.openReport(device.ID, &device.Report); err != nil {
		return Device{}, err
	}
	device.Config = s.names.short(device.Config)
	if device.Own != nil {
		own, err := s.layer(*device.Own, nil)
		if err != nil {
			return Device{}, err
		}
		device.Own = &own
	}
	return device, nil
}

func (s stored) layer(layer Layer, err error) (Layer, error) {
	if err == nil {
		layer.Config, err = s.seals.open(ofLayer(layer.Name), layer.Config)
	}
	if err != nil {
		return Layer{}, err
	}
	layer.Config = s.names.short(layer.Config)
	return layer, nil
}

func (s stored) secret(secret Secret, err error) (Secret, error) {
	if err == nil {
		secret.Value, err = s.seals.open(ofSecret(secret.Name), secret.Value)
	}
	return secret, err
}

func (s stored) entry(entry Entry, err error) (Entry, error) {
	for _, config := range []**Config{&entry.Before, &entry.After} {
		if *config != nil && err == nil {
			var opened Config
			opened, err = s.seals.openEntry(**config)
			opened = s.names.short(opened)
			*config = &opened
		}
	}
	if err != nil {
		return Entry{}, err
	}
	return entry, nil
}

// each replaces the elements of a list by the results of pass.
func each[T any](list []T, pass func(T, error) (T, error)) error {
	for i := range list {
		var err error
		if list[i], err = pass(list[i], nil); err != nil {
			return err
		}
	}
	return nil
}

func (s stored) Add(ctx context.Context, device Device, mostPending int) (Device, error) {
	return s.device(s.Store.Add(ctx, device, mostPending))
}

func (s stored) Device(ctx context.Context, id uuid.UUID) (Device, error) {
	return s.device(s.Store.Device(ctx, id))
}

func (s stored) DevicesByID(ctx context.Context, ids []uuid.UUID) ([]Device, error) {
	list, err := s.Store.DevicesByID(ctx, ids)
	if err == nil {
		err = each(list, s.device)
	}
	return list, err
}

func (s stored) DeviceByKey(ctx context.Context, keyID string) (Device, error) {
	return s.device(s.Store.DeviceByKey(ctx, keyID))
}

func (s stored) Devices(ctx context.Context, after string, limit int) ([]Device, string, error) {
	list, next, err := s.Store.Devices(ctx, after, limit)
	if err == nil {
		err = each(list, s.device)
	}
	return list, next, err
}

func (s stored) Mute(ctx context.Context, after string, limit int) ([]Device, string, error) {
	list, next, err := s.Store.Mute(ctx, after, limit)
	if err == nil {
		err = each(list, s.device)
	}
	return list, next, err
}

func (s stored) Configs(ctx context.Context, after string, limit int) ([]Device, string, error) {
	list, next, err := s.Store.Configs(ctx, after, limit)
	if err == nil {
		err = each(list, s.device)
	}
	return list, next, err
}

func (s stored) Report(ctx context.Context, id uuid.UUID, report Report) (int64, error) {
	if err := s.seals.sealReport(id, &report); err != nil {
		return 0, err
	}
	return s.Store.Report(ctx, id, report)
}

func (s stored) Targets(ctx context.Context) (Targets, error) {
	targets, err := s.Store.Targets(ctx)
	if err == nil {
		targets.Everyone, err = s.layer(targets.Everyone, nil)
	}
	if err == nil {
		err = each(targets.Labels, s.layer)
	}
	if err == nil {
		err = each(targets.Secrets, s.secret)
	}
	if targets.Release != nil {
		for i := range targets.Release.Before {
			if before := &targets.Release.Before[i]; err == nil {
				before.Layer, err = s.layer(before.Layer, nil)
			}
		}
	}
	return targets, err
}

func (s stored) Layer(ctx context.Context, name LayerName) (Layer, error) {
	return s.layer(s.Store.Layer(ctx, name))
}

func (s stored) DeviceLayers(ctx context.Context, containing, after string, limit int) ([]Layer, string, error) {
	list, next, err := s.Store.DeviceLayers(ctx, containing, after, limit)
	if err == nil {
		err = each(list, s.layer)
	}
	return list, next, err
}

func (s stored) ChangeAll(ctx context.Context, batch Batch) ([]Layer, error) {
	batch.Changes = slices.Clone(batch.Changes)
	for i, change := range batch.Changes {
		var err error
		if batch.Changes[i].Config, err = s.seals.sealLayer(change.Name, change.Config); err != nil {
			return nil, err
		}
	}
	layers, err := s.Store.ChangeAll(ctx, batch)
	if err == nil {
		err = each(layers, s.layer)
	}
	return layers, err
}

func (s stored) ChangeSecret(ctx context.Context, change SecretChange) (Secret, error) {
	var err error
	if change.Value, err = s.seals.sealSecret(change.Name, change.Value); err != nil {
		return Secret{}, err
	}
	return s.secret(s.Store.ChangeSecret(ctx, change))
}

func (s stored) Entries(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error) {
	list, err := s.Store.Entries(ctx, layer, below, limit)
	if err == nil {
		err = each(list, s.entry)
	}
	return list, err
}

func (s stored) Entry(ctx context.Context, revision int64) (Entry, error) {
	return s.entry(s.Store.Entry(ctx, revision))
}

func (s stored) LayerAt(ctx context.Context, name LayerName, revision int64) (Entry, error) {
	return s.entry(s.Store.LayerAt(ctx, name, revision))
}

func (s stored) Sign(ctx context.Context, change SignatureChange) (Signature, error) {
	if !change.Salts.Equal(Config{}) {
		var err error
		if change.Salts, err = s.seals.sealSecret(SaltsName, change.Salts); err != nil {
			return Signature{}, err
		}
	}
	return s.signature(s.Store.Sign(ctx, change))
}

func (s stored) Signatures(ctx context.Context) ([]Signature, error) {
	list, err := s.Store.Signatures(ctx)
	if err == nil {
		err = each(list, s.signature)
	}
	return list, err
}

func (s stored) signature(signature Signature, err error) (Signature, error) {
	if err == nil && !signature.Salts.Equal(Config{}) {
		signature.Salts, err = s.seals.open(ofSecret(SaltsName), signature.Salts)
	}
	return signature, err
}

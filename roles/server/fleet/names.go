package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/server/params"

	"github.com/google/uuid"
)

// A view of the confdb-schema that targets are checked against has one name in here, the short one. Whoever sends a
// target, or reports, may spell it in full, and so may databases of before: what comes in is renamed in Poll and check,
// and what is read from the store in named. So nothing else has to know of spellings. The zero value of names, without a
// confdb-schema, leaves names as they are.
type names struct {
	of     *plan.Names
	schema registry.ViewID
	signs  []string // one of these is in the text of a configuration with another spelling
}

func readNames(schema json.RawMessage) (names, error) {
	if schema == nil {
		return names{}, nil
	}
	of, err := plan.ReadNames(schema)
	if err != nil {
		return names{}, err
	}
	id := of.Schema()
	return names{of: of, schema: id, signs: []string{`"` + id.Schema + `/`, `"` + id.Account + `/`}}, nil
}

// short returns a configuration with the views' short names. Where one view stands there in more spellings, they are
// merged, and the short one has the last word: a target like that is refused, but what a device reports, or an old
// database has, is as it is.
func (n names) short(config Config) Config {
	if n.of == nil || !slices.ContainsFunc(n.signs, func(sign string) bool { return strings.Contains(config.text, sign) }) {
		return config
	}
	tree, err := config.Tree()
	if err != nil {
		return config // whoever composes it says so
	}
	renamed := map[string]any{}
	for _, long := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if short := plan.Short(n.schema, name); (short != name) == long {
				overlay(renamed, map[string]any{short: tree[name]})
			}
		}
	}
	short, err := configOf(renamed)
	if err != nil {
		return config
	}
	return short
}

// check returns a target by the views' short names. It refuses names of no view, of a view of another confdb-schema, and two
// of one view.
func (n names) check(target map[string]any) (map[string]any, error) {
	wanted, err := plan.ByView(n.schema, target)
	if err != nil {
		return nil, n.targetError(err, nil)
	}
	known := n.of.Views()
	for _, view := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.Contains(known, view) {
			return nil, &TargetError{Path: view, Text: fmt.Sprintf("cannot find view %q in confdb schema %s/%s%s", view,
				n.schema.Account, n.schema.Schema, params.Meant(view, known))}
		}
	}
	return wanted, nil
}

// named is a store whose configurations have the views' short names, whatever is in it.
type named struct {
	Store
	names names
}

func (s named) device(device Device) Device {
	device.Config = s.names.short(device.Config)
	if device.Own != nil {
		own := s.layer(*device.Own)
		device.Own = &own
	}
	return device
}

func (s named) layer(layer Layer) Layer {
	layer.Config = s.names.short(layer.Config)
	return layer
}

func (s named) entry(entry Entry) Entry {
	for _, config := range []**Config{&entry.Before, &entry.After} {
		if *config != nil {
			short := s.names.short(**config)
			*config = &short
		}
	}
	return entry
}

// each renames the elements of a list, which is its own.
func each[T any](list []T, rename func(T) T) []T {
	for i := range list {
		list[i] = rename(list[i])
	}
	return list
}

func (s named) Add(ctx context.Context, device Device, mostPending int) (Device, error) {
	kept, err := s.Store.Add(ctx, device, mostPending)
	return s.device(kept), err
}

func (s named) Device(ctx context.Context, id uuid.UUID) (Device, error) {
	device, err := s.Store.Device(ctx, id)
	return s.device(device), err
}

func (s named) DeviceByKey(ctx context.Context, keyID string) (Device, error) {
	device, err := s.Store.DeviceByKey(ctx, keyID)
	return s.device(device), err
}

func (s named) Devices(ctx context.Context, after string, limit int) ([]Device, string, error) {
	list, next, err := s.Store.Devices(ctx, after, limit)
	return each(list, s.device), next, err
}

func (s named) Mute(ctx context.Context, after string, limit int) ([]Device, string, error) {
	list, next, err := s.Store.Mute(ctx, after, limit)
	return each(list, s.device), next, err
}

func (s named) Targets(ctx context.Context) (Targets, error) {
	targets, err := s.Store.Targets(ctx)
	targets.Everyone, targets.Labels = s.layer(targets.Everyone), each(targets.Labels, s.layer)
	return targets, err
}

func (s named) Layer(ctx context.Context, name LayerName) (Layer, error) {
	layer, err := s.Store.Layer(ctx, name)
	return s.layer(layer), err
}

func (s named) DeviceLayers(ctx context.Context, after string, limit int) ([]Layer, string, error) {
	list, next, err := s.Store.DeviceLayers(ctx, after, limit)
	return each(list, s.layer), next, err
}

func (s named) Entries(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error) {
	list, err := s.Store.Entries(ctx, layer, below, limit)
	return each(list, s.entry), err
}

func (s named) Entry(ctx context.Context, revision int64) (Entry, error) {
	entry, err := s.Store.Entry(ctx, revision)
	return s.entry(entry), err
}

func (s named) LayerAt(ctx context.Context, name LayerName, revision int64) (Entry, error) {
	entry, err := s.Store.LayerAt(ctx, name, revision)
	return s.entry(entry), err
}

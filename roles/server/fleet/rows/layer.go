package rows

import (
	"fmt"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// LayerColumns are the columns of a Layer.
const LayerColumns = "name, selector, priority, config, revision, author, at"

// A Layer is a row of LayerColumns.
type Layer struct {
	name, selector         string
	priority, revision, at int64
	config                 []byte
	author                 Text
}

// Into returns what the columns are scanned into.
func (r *Layer) Into() []any {
	return []any{&r.name, &r.selector, &r.priority, &r.config, &r.revision, &r.author, &r.at}
}

// Layer returns the layer. It returns an error for a row that no store has written.
func (r *Layer) Layer() (fleet.Layer, error) {
	selector, err := Selector(r.selector)
	if err != nil {
		return fleet.Layer{}, err
	}
	config, err := configOf("a layer", r.config)
	if err != nil {
		return fleet.Layer{}, err
	}
	return fleet.Layer{Name: fleet.LayerName(r.name), Selector: selector, Priority: r.priority, Config: config,
		Revision: r.revision, Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}, nil
}

// LayerValues returns the values for LayerColumns.
func LayerValues(layer fleet.Layer) []any {
	return append([]any{string(layer.Name), layer.Selector.String(), layer.Priority}, DeviceLayerValues(layer)...)
}

// DeviceLayerColumns are the columns of a DeviceLayer. The statement calls devices d, and the layers of devices o.
const DeviceLayerColumns = "d.id, d.uuid, o.config, o.revision, o.author, o.at"

// A DeviceLayer is a row of DeviceLayerColumns.
type DeviceLayer struct {
	ID int64 // of the device

	uuid         uuid.UUID
	config       []byte
	revision, at int64
	author       Text
}

// Into returns what the columns are scanned into.
func (r *DeviceLayer) Into() []any {
	return []any{&r.ID, &r.uuid, &r.config, &r.revision, &r.author, &r.at}
}

// Layer returns the layer. It returns an error for a row that no store has written.
func (r *DeviceLayer) Layer() (fleet.Layer, error) {
	config, err := configOf("a device's layer", r.config)
	if err != nil {
		return fleet.Layer{}, err
	}
	return fleet.Layer{Name: fleet.DeviceLayer(r.uuid), Config: config, Revision: r.revision,
		Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}, nil
}

// DeviceLayerValues returns the values for config, revision, author and at.
func DeviceLayerValues(layer fleet.Layer) []any {
	return []any{[]byte(layer.Config.String()), layer.Revision, Text(layer.By), Seconds(layer.At)}
}

const (
	// EntryColumns are the columns of an Entry.
	EntryColumns = entryColumns + ", before, after"
	// BriefEntryColumns are EntryColumns without the configurations.
	BriefEntryColumns = entryColumns + ", NULL, NULL"

	entryColumns = "revision, author, at, layer, action, restores, selector, priority, labels, name, step"
)

// An Entry is a row of EntryColumns or BriefEntryColumns.
type Entry struct {
	revision, at, restores, priority    int64
	author                              Text
	layer, selector, labels, name, step string
	action                              int16
	before, after                       []byte
}

// Into returns what the columns are scanned into.
func (r *Entry) Into() []any {
	return []any{&r.revision, &r.author, &r.at, &r.layer, &r.action, &r.restores, &r.selector, &r.priority, &r.labels, &r.name, &r.step,
		&r.before, &r.after}
}

// Entry returns the entry. It returns an error for a row that no store has written.
func (r *Entry) Entry() (entry fleet.Entry, err error) {
	entry = fleet.Entry{Revision: r.revision, Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)},
		Layer: fleet.LayerName(r.layer), Action: fleet.Action(r.action), Restores: r.restores, Priority: r.priority,
		Name: r.name, Step: r.step}
	if entry.Selector, err = Selector(r.selector); err != nil {
		return fleet.Entry{}, err
	}
	if entry.Labels, err = labelsOf(r.labels); err != nil {
		return fleet.Entry{}, fmt.Errorf("an entry of the history: %w", err)
	}
	for _, side := range []struct {
		text []byte
		into **fleet.Config
	}{{r.before, &entry.Before}, {r.after, &entry.After}} {
		if side.text == nil {
			continue
		}
		config, err := configOf("an entry of the history", side.text)
		if err != nil {
			return fleet.Entry{}, err
		}
		*side.into = &config
	}
	return entry, nil
}

// EntryValues returns the values for EntryColumns. The history gets markers in the places of sealed values.
func EntryValues(entry fleet.Entry) []any {
	text := func(config *fleet.Config) any {
		if config == nil {
			return nil
		}
		return []byte(config.Marked().String())
	}
	return []any{entry.Revision, Text(entry.By), Seconds(entry.At), string(entry.Layer), int16(entry.Action), entry.Restores,
		entry.Selector.String(), entry.Priority, entry.Labels.String(), entry.Name, entry.Step, text(entry.Before), text(entry.After)}
}

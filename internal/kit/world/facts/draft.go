package facts

import (
	"fmt"
	"maps"

	"aspects-poc/registry/confdb/databag"
)

// A Draft is a copy of facts to be changed. Use it only in the function that Store.Update, Store.Apply or Store.Amend gets, while the
// store is locked. A method that returns []Undo returns its own undo. A method that returns an error has changed nothing.
//
// It has many methods because each change of the facts is one, and it has those that read the facts.
type Draft struct {
	Facts
	Journal any // the journal of Store.SetJournal
	refused func(*Draft, error)
}

// IfRefused sets the function to call if the write to disk fails, while the store is still locked. It gets a draft of the facts at that
// moment, and the error. In Store.Update it can change only the journal.
func (d *Draft) IfRefused(act func(*Draft, error)) { d.refused = act }

// draft returns a copy to be changed. Maps are copied; a value in them is replaced, never changed.
func (f *Facts) draft() *Draft {
	return &Draft{Facts: Facts{schemas: maps.Clone(f.schemas), assertions: maps.Clone(f.assertions), bags: maps.Clone(f.bags),
		snaps: maps.Clone(f.snaps), cookies: maps.Clone(f.cookies), connections: maps.Clone(f.connections),
		config: maps.Clone(f.config)}}
}

// An Undo undoes one step of a change. A change stores it together with the step. If the process ends before the change does, the
// next process applies it.
type Undo struct {
	Connect    string         `json:"connect,omitempty"`    // SNAP:PLUG
	Disconnect string         `json:"disconnect,omitempty"` // SNAP:PLUG
	Remove     string         `json:"remove,omitempty"`     // a snap
	Snap       *Snap          `json:"snap,omitempty"`       // replaces the snap of its name, with Options as all of its options
	Configure  string         `json:"configure,omitempty"`  // a snap, of which Options are the previous values; nil: not set
	Options    map[string]any `json:"options,omitempty"`
}

// Undo applies the Undos of a change, the last one first.
func (d *Draft) Undo(list []Undo) {
	for i := len(list) - 1; i >= 0; i-- {
		switch undo := list[i]; {
		case undo.Connect != "":
			d.connections[undo.Connect] = true
		case undo.Disconnect != "":
			delete(d.connections, undo.Disconnect)
		case undo.Remove != "":
			d.remove(undo.Remove)
		case undo.Snap != nil:
			d.snaps[undo.Snap.Instance()] = undo.Snap
			d.config[undo.Snap.Instance()] = undo.Options
		case undo.Configure != "" && d.config[undo.Configure] != nil:
			_, _ = d.Configure(undo.Configure, undo.Options) // fails if another option is in the way by now
		}
	}
}

// Install adds a snap, or replaces it as a refresh does: connections of plugs that remain stay.
func (d *Draft) Install(snap Snap) []Undo {
	instance := snap.Instance()
	undos := []Undo{{Remove: instance}}
	if old := d.snaps[instance]; old != nil {
		undos = []Undo{{Snap: old, Options: d.config[instance]}}
		for name, service := range snap.Services {
			service.Running = old.Services[name].Running
			snap.Services[name] = service
		}
	}
	d.snaps[instance] = &snap
	if d.cookies[instance] == "" {
		d.cookies[instance] = NewCookie()
	}
	if d.config[instance] == nil {
		d.config[instance] = map[string]any{}
	}
	for _, id := range sortedKeys(d.connections) {
		if _, remains := snap.Plugs[plugOf(instance, id)]; plugOf(instance, id) != "" && !remains {
			delete(d.connections, id)
			undos = append(undos, Undo{Connect: id})
		}
	}
	return undos
}

// Remove removes a snap, its options and its connections. Stored values stay.
func (d *Draft) Remove(instance string) error {
	if _, err := d.Snap(instance); err != nil {
		return err
	}
	d.remove(instance)
	return nil
}

func (d *Draft) remove(instance string) {
	delete(d.snaps, instance)
	delete(d.cookies, instance)
	delete(d.config, instance)
	maps.DeleteFunc(d.connections, func(id string, _ bool) bool { return plugOf(instance, id) != "" })
}

// SetService replaces a service of a snap, if there is such a snap.
func (d *Draft) SetService(instance, name string, service Service) {
	if snap, err := d.Snap(instance); err == nil {
		snap.Services[name] = service
		d.snaps[instance] = &snap
	}
}

// Connect connects a plug.
func (d *Draft) Connect(instance, plug string) ([]Undo, error) {
	return d.connect(instance, plug, true)
}

// Disconnect disconnects a plug.
func (d *Draft) Disconnect(instance, plug string) ([]Undo, error) {
	return d.connect(instance, plug, false)
}

func (d *Draft) connect(instance, plug string, connected bool) ([]Undo, error) {
	if err := d.CheckPlug(instance, plug); err != nil {
		return nil, err
	}
	id := connection(instance, plug)
	switch {
	case d.connections[id] == connected:
		return nil, nil
	case connected:
		d.connections[id] = true
		return []Undo{{Disconnect: id}}, nil
	default:
		delete(d.connections, id)
		return []Undo{{Connect: id}}, nil
	}
}

// CheckPlug returns an *Error if there is no such snap or no such plug.
func (f *Facts) CheckPlug(instance, plug string) error {
	snap, err := f.Snap(instance)
	if err != nil {
		return err
	}
	if _, found := snap.Plugs[plug]; !found {
		return BadRequest(fmt.Sprintf("snap %q has no plug named %q", instance, plug))
	}
	return nil
}

// Configure sets options of a snap, by paths with dots; nil unsets.
func (d *Draft) Configure(instance string, values map[string]any) ([]Undo, error) {
	config := d.config[instance]
	before := map[string]any{}
	for key := range values {
		value, there := Option(config, key)
		if !there {
			key = MissingOption(config, key)
		}
		before[key] = value
	}
	config, err := Patched(config, values)
	if err != nil {
		return nil, err
	}
	d.config[instance] = config
	return []Undo{{Configure: instance, Options: before}}, nil
}

// SetBag replaces the stored values of a confdb-schema, given as ACCOUNT/NAME.
func (d *Draft) SetBag(schema string, bag databag.Bag) { d.bags[schema] = bag }

// SetSchema adds a confdb-schema, or replaces it whatever its revision.
func (d *Draft) SetSchema(schema Schema) { d.schemas[schema.ID()] = &schema }

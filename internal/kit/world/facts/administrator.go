package facts

import (
	"fmt"

	"aspects-poc/registry/confdb/databag"
)

// Each method in this file changes one thing and runs no hooks. The method of changes.Manager with the same name runs hooks.

// Acknowledge adds confdb-schemas as Draft.Acknowledge does.
func (s *Store) Acknowledge(schemas ...Schema) error {
	return s.Update(func(d *Draft) error { return d.Acknowledge(schemas, nil) })
}

// SetSchema adds a confdb-schema, or replaces it whatever its revision. Call it when a file was saved again. Stored values stay, even
// if they do not fit the schema; Facts.Misfit reports that.
func (s *Store) SetSchema(schema Schema) error {
	return s.Update(func(d *Draft) error {
		d.SetSchema(schema)
		return nil
	})
}

// Forget removes a confdb-schema. Its stored values stay.
func (s *Store) Forget(account, name string) error {
	return s.Update(func(d *Draft) error {
		delete(d.schemas, account+"/"+name)
		return nil
	})
}

// SetStored replaces the stored values of a confdb-schema by a JSON object, without checks.
func (s *Store) SetStored(account, name string, values []byte) error {
	bag, err := databag.Parse(values)
	if err != nil {
		return fmt.Errorf("cannot store values for %s/%s: %w", account, name, err)
	}
	return s.Update(func(d *Draft) error {
		d.SetBag(account+"/"+name, bag)
		return nil
	})
}

// Install adds or refreshes a snap. It connects the plugs that snapd connects by itself, and the given ones.
func (s *Store) Install(snap Snap, plugs ...string) error {
	snap, err := snap.Complete()
	if err != nil {
		return err
	}
	return s.Update(func(d *Draft) error {
		old := d.snaps[snap.Instance()]
		d.Install(snap)
		for plug := range snap.Plugs {
			if snap.ConnectsItself(plug, old) {
				plugs = append(plugs, plug)
			}
		}
		for _, plug := range plugs {
			d.connections[connection(snap.Instance(), plug)] = true
		}
		return nil
	})
}

// Remove removes a snap, its options and its connections. Stored values stay.
func (s *Store) Remove(instance string) error {
	return s.Update(func(d *Draft) error { return d.Remove(instance) })
}

// Connect connects a plug.
func (s *Store) Connect(instance, plug string) error {
	return s.Update(func(d *Draft) error {
		_, err := d.Connect(instance, plug)
		return err
	})
}

// Disconnect disconnects a plug.
func (s *Store) Disconnect(instance, plug string) error {
	return s.Update(func(d *Draft) error {
		_, err := d.Disconnect(instance, plug)
		return err
	})
}

// SetSystem sets options of the system as Draft.SetSystem does.
func (s *Store) SetSystem(values map[string]any) error {
	return s.Update(func(d *Draft) error { return d.SetSystem(values) })
}

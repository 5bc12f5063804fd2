package fakesnapd

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// Data is what a snapd knows and stores: confdb-schemas, and a databag for each. It is safe for concurrent use, and can
// stand behind several fakes, as one snapd stands behind its two sockets.
type Data struct {
	mu      sync.Mutex // guards bags
	schemas []*confdb.Schema
	bags    map[*confdb.Schema]databag.Bag
}

// NewData parses confdb-schemas in the form that `snap sign` takes. Nothing is stored yet.
func NewData(documents ...json.RawMessage) (*Data, error) {
	d := &Data{bags: map[*confdb.Schema]databag.Bag{}}
	for _, document := range documents {
		schema, err := confdb.ParseDocument(document)
		if err != nil {
			return nil, err
		}
		d.schemas = append(d.schemas, schema)
	}
	slices.SortFunc(d.schemas, func(a, b *confdb.Schema) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Name, b.Name))
	})
	return d, nil
}

// Schemas returns the confdb-schemas, sorted by account and name.
func (d *Data) Schemas() []*confdb.Schema { return slices.Clone(d.schemas) }

// Schema returns a confdb-schema, or nil.
func (d *Data) Schema(account, name string) *confdb.Schema {
	for _, schema := range d.schemas {
		if schema.Account == account && schema.Name == name {
			return schema
		}
	}
	return nil
}

// HasView tells whether a confdb-schema has a view.
func HasView(schema *confdb.Schema, view string) bool { return slices.Contains(schema.Views(), view) }

// Bag returns what is stored for a confdb-schema.
func (d *Data) Bag(schema *confdb.Schema) databag.Bag {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bags[schema]
}

// Read reads committed data. Errors are *confdb.Error.
func (d *Data) Read(schema *confdb.Schema, view string, requests []string, options confdb.ReadOptions) (any, error) {
	return schema.Read(d.Bag(schema), view, requests, options)
}

// Stage begins a transaction and writes to it; nothing is stored before Commit. Errors are *confdb.Error.
func (d *Data) Stage(schema *confdb.Schema, view string, values map[string]any) (*confdb.Tx, error) {
	tx := schema.Begin(d.Bag(schema))
	if err := tx.Write(view, values); err != nil {
		return nil, err
	}
	return tx, nil
}

// Commit stores a transaction. erase imitates snapd before 2.77: the first write to a confdb-schema that holds nothing
// erases what the others hold.
func (d *Data) Commit(schema *confdb.Schema, tx *confdb.Tx, erase bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.bags[schema]
	after, err := tx.Commit(before)
	if err != nil {
		return err
	}
	if erase && len(before.Value()) == 0 {
		clear(d.bags)
	}
	d.bags[schema] = after
	return nil
}

// Put writes through a view at once, without custodians: for what a test needs to be there.
func (d *Data) Put(view backend.ViewID, values map[string]any) error {
	schema := d.Schema(view.Account, view.Schema)
	tx, err := d.Stage(schema, view.View, values)
	if err != nil {
		return err
	}
	return d.Commit(schema, tx, false)
}

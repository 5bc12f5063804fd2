package world

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// A Schema is a confdb-schema that the machine knows.
type Schema struct {
	Parsed *confdb.Schema
	// Document is its JSON in the form that `snap sign` takes; it is what is stored.
	Document []byte
	// Assertion is its text as it was acknowledged, "" if it came without.
	Assertion string
}

// ParseSchema reads a confdb-schema in the form that `snap sign` takes. Errors are *confdb.SchemaError.
func ParseSchema(document []byte) (Schema, error) {
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		return Schema{}, err
	}
	return Schema{Parsed: parsed, Document: document}, nil
}

// ID returns ACCOUNT/NAME.
func (s *Schema) ID() string { return s.Parsed.ID() }

// Replace makes a confdb-schema known whatever its revision: a file that is being worked on was saved again. What is
// stored and does not fit it is kept, as on snapd; Misfit tells.
func (w *World) Replace(schema Schema) error {
	return w.change(func() error {
		w.replace(schema)
		return nil
	})
}

func (w *World) replace(schema Schema) {
	w.parsed[schema.ID()] = &schema
	w.state.Schemas[schema.ID()] = storedSchema{Document: schema.Document, Assertion: schema.Assertion}
}

// Forget makes a confdb-schema unknown; what is stored for it stays.
func (w *World) Forget(account, name string) error {
	return w.change(func() error {
		delete(w.parsed, account+"/"+name)
		delete(w.state.Schemas, account+"/"+name)
		return nil
	})
}

// Schemas returns all confdb-schemas, sorted by account and name.
func (w *World) Schemas() []Schema {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Schema
	for _, id := range slices.Sorted(maps.Keys(w.parsed)) {
		list = append(list, *w.parsed[id])
	}
	return list
}

// Stored returns what is stored for a confdb-schema as compact JSON, "{}" if nothing is.
func (w *World) Stored(account, name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.bags[account+"/"+name].AppendJSON(nil))
}

// Store replaces what is stored for a confdb-schema by a JSON object, without hooks and checks: for what has to be there
// before a test begins.
func (w *World) Store(account, name string, values []byte) error {
	bag, err := databag.Parse(values)
	if err != nil {
		return fmt.Errorf("cannot store values for %s/%s: %w", account, name, err)
	}
	return w.change(func() error { return w.store(account+"/"+name, bag) })
}

// Misfit returns what the confdb-schema would refuse in what is stored, nil if it all fits: a write through any of its
// views fails until that is mended.
func (w *World) Misfit(account, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	schema := w.parsed[account+"/"+name]
	if schema == nil {
		return noSchema(account, name)
	}
	return schema.Parsed.Validate(w.bags[schema.ID()])
}

// schema finds the confdb-schema of a view and sees that it has the view. The caller has the lock.
func (w *World) schema(id backend.ViewID) (*confdb.Schema, error) {
	schema := w.parsed[id.Account+"/"+id.Schema]
	if own := builtin(); id.Account+"/"+id.Schema == own.ID() {
		schema = &own
	}
	if schema == nil {
		return nil, noSchema(id.Account, id.Schema)
	}
	if !slices.Contains(schema.Parsed.Views(), id.View) {
		return nil, &Error{Status: http.StatusBadRequest, Kind: KindOptionNotAvailable,
			Message: fmt.Sprintf("cannot find view %q in confdb schema %s/%s", id.View, id.Account, id.Schema)}
	}
	return schema.Parsed, nil
}

func noSchema(account, name string) error {
	return &Error{Status: http.StatusBadRequest, Kind: KindAssertionNotFound,
		Message: fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", name, account),
		Value: map[string]any{"type": "confdb-schema", "headers": map[string]any{
			"account-id": account, "name": name}}}
}

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
)

// Short returns the name of a view of a confdb-schema as it is without account and schema. Names of other schemas, and
// what is no name, stay as they are.
func Short(schema registry.ViewID, name string) string {
	if !strings.Contains(name, "/") {
		return name
	}
	id, err := backend.ParseViewID(name, schema)
	if err != nil || id.Account != schema.Account || id.Schema != schema.Schema {
		return name
	}
	return id.View
}

// ByView returns documents by the short names of the views that they are of. A view named in two spellings is refused, as
// nothing says which of the two is meant, and so is one of another confdb-schema: what is planned is written through one.
// Errors are *registry.Error.
func ByView[D any](schema registry.ViewID, named map[string]D) (map[string]D, error) {
	refuse := func(kind error, name, format string, arguments ...any) error {
		reason := fmt.Sprintf(format, arguments...)
		return &registry.Error{Op: "set", Kind: kind, Path: name, Reason: reason,
			Message: fmt.Sprintf("cannot set view %q: %s", name, reason)}
	}
	documents, spelled := make(map[string]D, len(named)), map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		short := Short(schema, name)
		if strings.Contains(short, "/") {
			if _, err := backend.ParseViewID(name, schema); err != nil {
				return nil, refuse(registry.ErrBadRequest, name, "want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW")
			}
			return nil, refuse(registry.ErrNoView, name, "it belongs to another confdb-schema than %s/%s", schema.Account, schema.Schema)
		}
		if other, twice := spelled[short]; twice {
			return nil, refuse(registry.ErrBadRequest, name, "it is the same view as %q, which is there too", other)
		}
		documents[short], spelled[short] = named[name], name
	}
	return documents, nil
}

// Names is what a confdb-schema calls its views, and what they lead to.
type Names struct{ schema *confdb.Schema }

// ReadNames reads a confdb-schema, as Make does.
func ReadNames(schema json.RawMessage) (*Names, error) {
	parsed, err := confdb.ParseDocument(schema)
	if err != nil {
		return nil, err
	}
	return &Names{parsed}, nil
}

// Schema returns account and name of the confdb-schema.
func (n *Names) Schema() registry.ViewID { return idOf(n.schema) }

// Views returns the short names of the views, sorted.
func (n *Names) Views() []string { return n.schema.Views() }

func idOf(schema *confdb.Schema) registry.ViewID {
	return registry.ViewID{Account: schema.Account, Schema: schema.Name}
}

// Locate returns the path in a target, view first, of what a write put at a storage path or around it. It is "" where no
// value of the target leads there.
func (n *Names) Locate(target map[string]map[string]any, storage string) string {
	at, err := path.ParseRequest(storage)
	if err != nil || len(at) == 0 {
		return ""
	}
	best, depth := "", 0
	for _, view := range slices.Sorted(maps.Keys(target)) {
		for _, rule := range n.schema.Rules(view) {
			placed, fits := fit(rule.Storage, at)
			if !rule.Writable || !fits {
				continue
			}
			request := strings.Split(rule.Request.Bare(), ".")
			for i, key := range request {
				if value, placeholder := placed[key]; placeholder {
					request[i] = value
				}
			}
			for _, accessor := range at[len(rule.Storage):] {
				request = append(request, accessor.Bare())
			}
			// As far as it goes: below may be a list, or what is not there.
			var value any = target[view]
			length := 0
			for _, key := range request {
				object, _ := value.(map[string]any)
				inner, there := object[key]
				if !there {
					break
				}
				value = inner
				length++
			}
			if length > depth {
				best, depth = view+"."+strings.Join(request[:length], "."), length
			}
		}
	}
	return best
}

// fit tells whether a rule's storage path leads to a path or above it, and what its placeholders stand for then.
func fit(storage, at path.Path) (placed map[string]string, fits bool) {
	if len(storage) > len(at) {
		return nil, false
	}
	placed = map[string]string{}
	for i, accessor := range storage {
		switch {
		case accessor.Open():
			placed[accessor.Bare()] = at[i].Bare()
		case accessor.Bare() != at[i].Bare():
			return nil, false
		}
	}
	return placed, true
}

package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"aspects-poc/internal/viewschema"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/embedded"
)

// Short returns a view's name without account and schema. It returns names of other schemas, and text that is no
// name, unchanged.
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

// ByView returns documents by the short names of their views. It returns a *registry.Error if two names mean the same
// view, or if a view belongs to another confdb-schema than schema.
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

// Names are the views and rules of a confdb-schema. ReadNames returns them.
type Names struct {
	schema *confdb.Schema
	views  map[string]registry.ViewID        // by their short names
	engine func() (*embedded.Backend, error) // with the confdb-schema, and nothing stored
}

// ReadNames parses a confdb-schema in the form for `snap sign`.
func ReadNames(schema json.RawMessage) (*Names, error) {
	parsed, err := confdb.ParseDocument(schema)
	if err != nil {
		return nil, err
	}
	return namesOf(parsed, schema), nil
}

func namesOf(parsed *confdb.Schema, schema json.RawMessage) *Names {
	views := map[string]registry.ViewID{}
	for _, view := range parsed.Views() {
		views[view] = registry.ViewID{Account: parsed.Account, Schema: parsed.Name, View: view}
	}
	return &Names{schema: parsed, views: views, engine: sync.OnceValues(func() (*embedded.Backend, error) {
		return embedded.OpenMemory(context.Background(), embedded.Options{Documents: []json.RawMessage{schema}}) // nothing here waits
	})}
}

// Schema returns account and name of the confdb-schema.
func (n *Names) Schema() registry.ViewID { return idOf(n.schema) }

// Views returns the short names of the views, sorted.
func (n *Names) Views() []string { return n.schema.Views() }

// Conceal returns a copy of a document of a view, which has a short name. Each secret in it is replaced by what hide returns. hide
// gets the secret's request path, such as "wifi[0].psk", and its value. The copy shares with the document the parts without secrets.
// A value that does not fit the schema is secret if the schema has secrets in its place or beside it. A document may be
// partial, as in a target. Conceal returns a document of an unknown view unchanged.
func (n *Names) Conceal(view string, document any, hide func(request string, value any) any) any {
	return n.schema.Conceal(view, document, func(at path.Path, value any) any { return hide(at.Bare(), value) })
}

// Secret reports whether a request path of a view leads to a secret, or to data that contains one. "" is the whole view.
func (n *Names) Secret(view, request string) bool { return n.schema.Secret(view, request) }

// Matches reports whether a rule of the view matches the request path. "" is the whole view.
func (n *Names) Matches(view, request string) bool {
	return n.schema.Matches(view, request, true) || n.schema.Matches(view, request, false)
}

// Describe returns the JSON Schema of a target, as an object for encoding/json. It does not describe null, which unsets a value.
func (n *Names) Describe() any { return viewschema.All(n.schema, viewschema.Write) }

// Writable reports whether something can be written through the view.
func (n *Names) Writable(view string) bool {
	return slices.ContainsFunc(n.schema.Rules(view), func(rule confdb.Rule) bool { return rule.Writable })
}

// Requests returns the request paths that can be written through the view, without those that have placeholders.
func (n *Names) Requests(view string) (list []string) {
	for _, rule := range n.schema.Rules(view) {
		if request := rule.Request.Bare(); rule.Writable && !strings.Contains(request, "{") {
			list = append(list, request)
		}
	}
	return list
}

// Readable reports whether the view shows the value at a request path.
func (n *Names) Readable(view, request string) bool { return n.schema.Matches(view, request, false) }

// SecretStorage is Secret for a storage path of keys and indexes. Of a malformed path, the well-formed beginning decides.
func (n *Names) SecretStorage(storage string) bool {
	at, _ := beginning(storage)
	_, along := n.schema.Storage().Along(at)
	return along || n.schema.Storage().Secret(at)
}

// CutStorage returns the beginning of a storage path, up to the first key or index that may be secret: one inside a secret or
// beside one. known reports whether the storage schema has the path's first key.
func (n *Names) CutStorage(storage string) (cut string, known bool) {
	at, whole := beginning(storage)
	for i := range at {
		types, along := n.schema.Storage().Along(at[:i+1])
		switch {
		case i == 0 && len(types) == 0:
			return storage, false
		case along:
			return at[:i].Bare(), true
		}
	}
	if !whole && len(at) > 0 && n.SecretStorage(storage) {
		return at.Bare(), true
	}
	return storage, len(at) > 0
}

// beginning parses the well-formed beginning of a storage path. whole reports whether that is the whole path.
func beginning(storage string) (at path.Path, whole bool) {
	for rest := storage; rest != ""; rest = rest[:max(0, strings.LastIndexAny(rest, ".["))] {
		if at, err := path.ParseRequest(rest); err == nil {
			return at, rest == storage
		}
	}
	return nil, storage == ""
}

func idOf(schema *confdb.Schema) registry.ViewID {
	return registry.ViewID{Account: schema.Account, Schema: schema.Name}
}

// Locate returns the place in a target of the value that is stored at a storage path, or in a container of it. The result is a
// path that begins with the view's name; "" if the target has no such value.
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
			// Follow the request as far as the target has it: below may be a list or nothing.
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

// fit reports whether a rule's storage path matches the beginning of a path, and returns the values of its placeholders.
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

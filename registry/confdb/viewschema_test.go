package confdb_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/randomschema"
	"aspects-poc/internal/viewschema"
	"aspects-poc/registry/confdb/databag"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// engineOnly are the engine's reasons to refuse a document that fits the JSON Schema. They depend on data outside of the rule, and on
// the combination of alternative types.
var engineOnly = []string{"cannot find required combinations of keys", "no matching schema", "cannot accept duplicate values"}

// The JSON Schema of a view and the engine agree about what can be written. TestDescribed generates schemas and documents.
func TestDescribed(t *testing.T) {
	accepted, refused := 0, 0
	for seed := range uint64(400) {
		d := randomschema.New(randomschema.Throws(seed, 11, 600))
		w := newWorld(t, d)
		if w == nil {
			continue
		}
		for _, view := range slices.Sorted(maps.Keys(w.views)) {
			written, ok := viewschema.Of(w.schema, view, viewschema.Write)
			if !ok {
				t.Fatalf("seed %d: %s cannot be written", seed, view)
			}
			check := compiled(t, written)
			document := object{}
			for entry, definition := range w.definition["schema"].(object) {
				if view != "all" && !strings.HasPrefix(w.requests[view]+".", entry) {
					continue
				}
				if d.Throw(3) > 0 {
					document[entry] = d.Fitting(definition, w.definition["aliases"].(object))
				}
			}
			if len(document) == 0 || hasNull(document) {
				continue
			}
			if view == "all" && slices.ContainsFunc(slices.Collect(maps.Values(w.requests)), func(request string) bool { return strings.Contains(request, "[") }) {
				continue // of overlapping rules one may remove what the other writes into a list
			}
			err := w.schema.Begin(databag.Bag{}).Write(view, document)
			fits := check.Validate(decoded(t, document))
			switch {
			case err == nil && fits == nil:
				accepted++
			case err != nil && fits != nil:
				refused++
			case err != nil && slices.ContainsFunc(engineOnly, func(text string) bool { return strings.Contains(err.Error(), text) }):
			default:
				t.Fatalf("seed %d: %v in view %v: the engine says %v, the JSON Schema %v\nstorage %s\nJSON Schema %v", seed, document,
					w.views[view], err, fits, w.storage, written)
			}
		}
	}
	if accepted < 100 || refused < 50 {
		t.Errorf("only %d documents were accepted and %d refused by both", accepted, refused)
	}
}

func compiled(t *testing.T, described viewschema.Schema) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("view.json", decoded(t, described)); err != nil {
		t.Fatal(err)
	}
	check, err := compiler.Compile("view.json")
	if err != nil {
		t.Fatal(err)
	}
	return check
}

func decoded(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	shapes, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return shapes
}

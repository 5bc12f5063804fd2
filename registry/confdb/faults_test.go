package confdb_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"aspects-poc/internal/randomschema"
	"aspects-poc/registry/confdb"
)

// FuzzFaults generates a confdb-schema and breaks it in several places: the first fault that a Parser reports is the
// error of New, and each fault has a place in the document.
func FuzzFaults(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(randomschema.Throws(seed, 11, 300))
	}
	f.Fuzz(func(t *testing.T, throws []byte) {
		d := randomschema.New(throws)
		definition, views := d.Storage(), randomViews(d)
		for range d.Throw(6) {
			breakOne(d, []any{definition, views}[d.Throw(2)])
		}
		storage, err := json.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		checkFaults(t, storage, views)
	})
}

func checkFaults(t *testing.T, storage []byte, views object) {
	t.Helper()
	_, want := confdb.New("acme", "net", storage, views)
	var all []*confdb.SchemaError
	schema, err := confdb.Parser{Report: func(e *confdb.SchemaError) { all = append(all, e) }}.New("acme", "net", storage, views)
	var definition any
	if err := json.Unmarshal(storage, &definition); err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("%s\n%v", storage, views)
	if schema == nil || fmt.Sprint(err) != fmt.Sprint(want) || (want == nil) != (len(all) == 0) {
		t.Fatalf("%s\nstops with %v, reports %v (%d faults), schema %v", said, want, err, len(all), schema)
	}
	if want != nil && (all[0].Message != want.Error() || all[0].Stage != want.(*confdb.SchemaError).Stage) {
		t.Fatalf("%s\nstops with\n\t%v\nfirst reported\n\t%v", said, want, all[0])
	}
	for _, e := range all {
		top := definition
		if e.Stage == "views" {
			top = views[e.View]
		}
		if e.Fault != nil && !has(top, e.Fault.At) || e.Message == "" {
			t.Fatalf("%s\n%v is at %q, where nothing is", said, e, e.Fault.At)
		}
	}
	for _, name := range schema.Views() {
		for _, rule := range schema.Rules(name) {
			if !has(views[name], rule.At) {
				t.Fatalf("%s\na rule of %s is at %q", said, name, rule.At)
			}
		}
	}
	for _, d := range schema.Storage().Written() {
		if !has(definition, d.At) && len(d.At) > 0 {
			t.Fatalf("%s\na definition is at %q", said, d.At)
		}
	}
}

// has reports whether there is something at a place. The key "request" may be missing, since it has a default.
func has(value any, at []string) bool {
	for _, step := range at {
		switch container := value.(type) {
		case object:
			inner, ok := container[step]
			if !ok {
				return step == "request"
			}
			value = inner
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index >= len(container) {
				return false
			}
			value = container[index]
		default:
			return false
		}
	}
	return true
}

// randomViews returns two views with rules, some of them with content.
func randomViews(d *randomschema.Dice) object {
	views := object{}
	for _, name := range []string{"one", "two"} {
		var rules []any
		for range 1 + d.Throw(4) {
			request, storage := d.Rule()
			rule := object{"request": request, "storage": storage}
			if d.Throw(3) == 0 {
				rule["access"] = d.OneOf("read", "write", "read-write")
			}
			if d.Throw(3) == 0 {
				inner := object{"storage": d.OneOf(randomschema.EntryNames...)}
				rule["content"] = []any{inner, object{"storage": d.OneOf(randomschema.EntryNames...), "content": []any{object{"storage": "{x}"}}}}
			}
			rules = append(rules, rule)
		}
		views[name] = object{"rules": rules, "parameters": object{"p": object{"presence": "optional"}}}
	}
	return views
}

// breakOne replaces, removes or renames something in a JSON shape.
func breakOne(d *randomschema.Dice, value any) {
	for {
		switch container := value.(type) {
		case object:
			keys := slices.Sorted(maps.Keys(container))
			if len(keys) == 0 {
				container[d.OneOf("type", "schema", "Bad")] = wrong(d)
				return
			}
			key := keys[d.Throw(len(keys))]
			inner := container[key]
			switch d.Throw(6) {
			case 0:
				container[key] = wrong(d)
			case 1:
				delete(container, key)
			case 2:
				container[d.OneOf("schema", "keys", "values", "type", "required", "content", "access", "Bad", "choices", "min", "pattern",
					"ephemeral", "visibility", "aliases", "summary", "parameters")] = wrong(d)
			default:
				value = inner
				continue
			}
			return
		case []any:
			if len(container) == 0 {
				return
			}
			i := d.Throw(len(container))
			if d.Throw(4) == 0 {
				container[i] = wrong(d)
				return
			}
			value = container[i]
		default:
			return
		}
	}
}

// wrong returns a value that hardly ever fits.
func wrong(d *randomschema.Dice) any {
	return []any{nil, true, 1.5, "", "strin", "map", "${tag}", "${none}", "${pair}", "a..b", "{x}", "mtu[{n}]", []any{}, object{},
		[]any{"int", object{"visibility": "secret", "type": "string"}}, object{"type": "string", "pattern": "("},
		object{"type": "array"}, "write", []any{object{"storage": "mtu"}, 1.0}, object{"Bad": "int", "mtu": "nothing"}}[d.Throw(20)]
}

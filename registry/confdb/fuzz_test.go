package confdb_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/randomschema"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// world is a generated confdb-schema with one view for each generated rule that fits the storage schema.
type world struct {
	definition object
	storage    []byte
	views      object
	schema     *confdb.Schema
	requests   map[string]string // view -> its rule's request
	plain      map[string]bool   // views whose storage path leads through no list
}

func newWorld(t *testing.T, d *randomschema.Dice) *world {
	return newWorldOf(t, d, func(definition object) object { return definition })
}

// newWorldOf is newWorld with a change of the storage schema.
func newWorldOf(t *testing.T, d *randomschema.Dice, change func(object) object) *world {
	definition := change(d.Storage())
	storage, err := json.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{definition: definition, storage: storage, views: object{}, requests: map[string]string{}, plain: map[string]bool{}}
	var rules []any
	for i := range 6 {
		request, storage := d.Rule()
		name := "view-" + string(rune('a'+i))
		rule := object{"request": request, "storage": storage}
		definition := object{"rules": []any{rule}, "parameters": object{"p": object{}}}
		if _, err := confdb.New("acme", "net", w.storage, object{name: definition}); err != nil {
			continue
		}
		w.views[name], w.requests[name], w.plain[name] = definition, request, !strings.Contains(storage, "[")
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return nil
	}
	all := object{"rules": rules, "parameters": object{"p": object{}}}
	if _, err := confdb.New("acme", "net", w.storage, object{"all": all}); err == nil {
		w.views["all"], w.requests["all"] = all, "mtu"
	}
	w.schema = w.fresh(t)
	return w
}

// value returns a value to write at a request: null, one that fits the schema, or any other.
func (w *world) value(d *randomschema.Dice, request string) any {
	switch d.Throw(8) {
	case 0:
		return nil
	case 1:
		return d.Value(3)
	}
	return d.Fitting(d.At(w.definition, request), w.definition["aliases"].(object))
}

// fresh parses the schema again, so that it has no marks of an earlier validation.
func (w *world) fresh(t *testing.T) *confdb.Schema {
	t.Helper()
	schema, err := confdb.New("acme", "net", w.storage, w.views)
	if err != nil {
		t.Fatalf("a schema was accepted and is refused: %v", err)
	}
	return schema
}

func parseBag(t *testing.T, bag databag.Bag) databag.Bag {
	t.Helper()
	parsed, err := databag.Parse(bag.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// object is a JSON object; lists are []any.
type object = map[string]any

// FuzzOperations generates a schema, views and writes, and checks what the engine promises for all of them.
func FuzzOperations(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomschema.Throws(seed, 7, 400))
	}
	f.Fuzz(func(t *testing.T, throws []byte) {
		d := randomschema.New(throws)
		w := newWorld(t, d)
		if w == nil {
			return
		}
		var bag databag.Bag
		names := slices.Sorted(maps.Keys(w.views))
		for range 24 {
			if d.Over() {
				return
			}
			view := names[d.Throw(len(names))]
			values := map[string]any{}
			for range 1 + d.Throw(2) {
				request := d.Filled(w.requests[view])
				values[request] = w.value(d, request)
			}
			bag = w.write(t, bag, view, values, d.Throw(3) == 0)
			w.read(bag, view, slices.Sorted(maps.Keys(values)), d)
		}
	})
}

// write makes one transaction and returns the stored data after it.
func (w *world) write(t *testing.T, bag databag.Bag, view string, values map[string]any, exact bool) databag.Bag {
	t.Helper()
	before := bag.AppendJSON(nil)
	tx := w.schema.Begin(bag)
	tx.Exact = exact
	err := tx.Write(view, values)

	// The same on data and schema that remember nothing.
	fresh := w.fresh(t).Begin(parseBag(t, bag))
	fresh.Exact = exact
	if freshErr := fresh.Write(view, values); text(err) != text(freshErr) {
		t.Fatalf("%s\n%s\nwrite %v through %s\nsays  %v\nanew: %v", w.storage, before, values, view, err, freshErr)
	}
	after, commitErr := tx.Commit(bag)
	if !bytes.Equal(bag.AppendJSON(nil), before) {
		t.Fatalf("the bag was %s and became %s", before, bag.AppendJSON(nil))
	}
	if err != nil {
		if commitErr == nil || !after.Same(bag) {
			t.Fatalf("a refused write was committed: %v", err)
		}
		return bag
	}
	if commitErr != nil {
		if !exact {
			t.Fatalf("%s\n%s\nwrite %v through %s\ncannot be committed: %v", w.storage, before, values, view, commitErr)
		}
		return bag
	}
	if !exact && !after.Equal(tx.Bag(), "") {
		t.Fatalf("committed %s, want %s", after.AppendJSON(nil), tx.Bag().AppendJSON(nil))
	}
	again, err := tx.Commit(parseBag(t, bag))
	if err != nil || !bytes.Equal(again.AppendJSON(nil), after.AppendJSON(nil)) {
		t.Fatalf("%s\n%s\nwrite %v through %s\ncommitted %s, applied again %s (%v)", w.storage, before, values, view,
			after.AppendJSON(nil), again.AppendJSON(nil), err)
	}
	if err := w.fresh(t).Validate(parseBag(t, after)); err != nil {
		t.Fatalf("%s\nstored %s: %v", w.storage, after.AppendJSON(nil), err)
	}
	changed := databag.Changed(bag, after, 64)
	if len(changed) == 0 && !bag.Equal(after, "") {
		t.Fatalf("%s became %s: changed %q", before, after.AppendJSON(nil), changed)
	}
	if len(changed) > 0 && !slices.Contains(w.schema.Affected(changed), view) {
		t.Fatalf("%q changed through %s, which is not among the affected %q", changed, view, w.schema.Affected(changed))
	}
	w.wrote(t, after, view, values, string(before))
	return after
}

// wrote checks that a set value is there and an unset one is not, if the view has one rule and one key was written.
func (w *world) wrote(t *testing.T, after databag.Bag, view string, values map[string]any, before string) {
	t.Helper()
	if len(values) != 1 || view == "all" {
		return
	}
	for request, value := range values {
		got, err := w.schema.Read(after, view, []string{request}, confdb.ReadOptions{})
		if value == nil {
			if w.plain[view] && (err == nil || err.(*confdb.Error).Kind != confdb.NoData) {
				t.Fatalf("%s\n%s\n%q of %s is unset, but reads as %v %v", w.storage, before, request, view, got, err)
			}
			continue
		}
		if hasNull(value) || len(strings.FieldsFunc(request, inPath)) != len(strings.FieldsFunc(w.requests[view], inPath)) {
			continue
		}
		if diff := differ(map[string]any{request: value}, got); err != nil || diff != "" {
			t.Fatalf("%s\n%s\n%q of %s is set to %v: %v %s", w.storage, before, request, view, value, err, diff)
		}
	}
}

func inPath(r rune) bool { return r == '.' || r == '[' }

// read reads in every way. No read may panic or depend on chance; other tests check the results.
func (w *world) read(bag databag.Bag, view string, requests []string, d *randomschema.Dice) {
	constraints := []map[string]any{nil, {"p": 1.0}, {"k0": "mtu"}, {"k1": 2.0, "p": "mtu"}}[d.Throw(4)]
	for _, unprivileged := range []bool{false, true} {
		options := confdb.ReadOptions{Constraints: constraints, Unprivileged: unprivileged}
		for _, requests := range [][]string{nil, requests} {
			first, err := w.schema.Read(bag, view, requests, options)
			second, err2 := w.schema.Read(bag, view, requests, options)
			if diff := differ(first, second); diff != "" || text(err) != text(err2) {
				panic("two answers to one question: " + diff + text(err) + text(err2))
			}
			_ = w.schema.DaemonError(view, requests, options, err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	if refused := (*confdb.Error)(nil); !errors.As(err, &refused) || refused.Message == "" {
		return "not an *Error with a message: " + err.Error()
	}
	return err.Error()
}

func hasNull(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case []any:
		return slices.ContainsFunc(value, hasNull)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(value)), hasNull)
	}
	return false
}

// FuzzViews: no text of views makes the parser panic, and its result is the same each time.
func FuzzViews(f *testing.F) {
	storage := json.RawMessage(`{"aliases":{"mac":{"type":"string","pattern":"^[0-9a-f:]+$"}},"schema":{` +
		`"links":{"keys":"string","values":{"schema":{"mac":"${mac}","mtu":["int","string"],"peers":{"type":"array","values":"any"}}}},` +
		`"keysonly":{"keys":"string"},"free":"any","psk":{"type":"string","visibility":"secret"}}}`)
	for _, seed := range []string{
		`{}`, `null`, `{"v":{"rules":[{"storage":"links"}]}}`,
		`{"v":{"summary":"s","parameters":{"p":{"presence":"required"}},"rules":[{"request":"l.{k}","storage":"links.{k}[.mac={p}]","access":"read"}]}}`,
		`{"v":{"rules":[{"request":"l.{k}","storage":"links.{k}","content":[{"storage":"mtu"},{"storage":"peers[{n}]"}]}]}}`,
		`{"v":{"rules":[{"storage":"keysonly.{a}.{b}"},{"request":"x","storage":"free"},{"request":"x","storage":"psk","access":"write"}]}}`,
		`{"v":{"rules":[{"request":"a","storage":"links[0]"}]},"w":{"rules":7},"x":[]}`, `{"V":{"rules":[{}]}}`,
	} {
		f.Add([]byte(seed), "l.eth0", []byte(`{"mtu":1,"peers":[null,{"x":[1]}]}`))
	}
	f.Fuzz(func(t *testing.T, views []byte, request string, raw []byte) {
		var definitions, value any
		if json.Unmarshal(views, &definitions) != nil || json.Unmarshal(raw, &value) != nil {
			return
		}
		schema, err := confdb.New("acme", "net", storage, definitions)
		_, again := confdb.New("acme", "net", storage, definitions)
		if (err == nil) != (again == nil) || err != nil && (err.Error() != again.Error() || err.Error() == "") {
			t.Fatalf("%s: %v, then %v", views, err, again)
		}
		if err != nil {
			return
		}
		for _, view := range schema.Views() {
			tx := schema.Begin(databag.Bag{})
			err := tx.Write(view, map[string]any{request: value})
			if text(err) == "" && text(schema.Validate(parseBag(t, tx.Bag()))) != "" {
				t.Fatalf("%s\nset %q=%s stored %s", views, request, raw, tx.Bag().AppendJSON(nil))
			}
			for _, requests := range [][]string{nil, {request}} {
				_, err := schema.Read(tx.Bag(), view, requests, confdb.ReadOptions{Unprivileged: len(requests) == 0})
				_ = text(err)
				_ = schema.DaemonError(view, requests, confdb.ReadOptions{}, err)
			}
			if err == nil && value != nil && !schema.Matches(view, request, true) {
				t.Fatalf("%s: %q was written, but matches nothing", views, request)
			}
		}
	})
}

// FuzzDocument: no text makes the parser of whole documents panic, and every refusal is a *SchemaError.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"account-id":"acme","name":"net","views":{"v":{"rules":[{"storage":"a"}]}},"body":"{\"storage\":{\"schema\":{\"a\":\"int\"}}}"}`))
	f.Add([]byte(`{"account-id":"acme","name":"net","revision":"-1"}`))
	f.Add([]byte(`{"account-id":"acme","name":"Net"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		schema, err := confdb.ParseDocument(document)
		if refused := (*confdb.SchemaError)(nil); err != nil && (!errors.As(err, &refused) || refused.Stage == "" || refused.Message == "") {
			t.Fatalf("%s: %v", document, err)
		}
		if err == nil && (schema.ID() == "" || len(schema.Views()) == 0) {
			t.Fatalf("%s: accepted with nothing in it", document)
		}
	})
}

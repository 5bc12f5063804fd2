package confdb_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

func BenchmarkParseSchema(b *testing.B) {
	document, err := os.ReadFile(filepath.Join("..", "registrytest", "testschema", "confdb-schema.json"))
	if err != nil {
		b.Fatal(err)
	}
	var source struct {
		Storage json.RawMessage
		Views   any
	}
	if err := json.Unmarshal(document, &source); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := confdb.New("acme", "network", source.Storage, source.Views); err != nil {
			b.Fatal(err)
		}
	}
}

// many returns a schema of a map of 10,000 items with constrained keys, and the map, validated once.
func many(b *testing.B) (*confdb.Schema, databag.Bag) {
	b.Helper()
	schema, err := confdb.New("acme", "net", json.RawMessage(`{"schema": {"mtu": "int", "items": {"keys": {"type": "string", "pattern": "^item-[0-9]+$"},
		"values": {"schema": {"address": "string", "weight": {"type": "int", "min": 0}, "up": "bool"}, "required": ["address"]}}}}`),
		map[string]any{"v": map[string]any{"rules": []any{
			map[string]any{"request": "items.{k}", "storage": "items.{k}"}, map[string]any{"storage": "mtu"},
			map[string]any{"request": "weight.{k}", "storage": "items.{k}.weight"},
		}}})
	if err != nil {
		b.Fatal(err)
	}
	items := map[string]any{}
	for i := range 10_000 {
		items[fmt.Sprintf("item-%d", i)] = map[string]any{"address": fmt.Sprintf("10.0.%d.%d", i/256, i%256), "weight": float64(i), "up": true}
	}
	root, err := databag.FromValue(map[string]any{"mtu": 1500.0, "items": items})
	if err != nil {
		b.Fatal(err)
	}
	bag := databag.FromRoot(root)
	if err := schema.Validate(bag); err != nil {
		b.Fatal(err)
	}
	return schema, bag
}

func BenchmarkGetOne(b *testing.B) {
	schema, bag := many(b)
	for b.Loop() {
		if _, err := schema.Read(bag, "v", []string{"items.item-5000"}, confdb.ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetOne(b *testing.B) {
	schema, _ := many(b)
	var bag databag.Bag
	for i := 0; b.Loop(); i++ {
		bag = write(b, schema, bag, "mtu", float64(i))
	}
}

// BenchmarkModifyOneOf10000 changes one item and encodes the whole bag, as a store does for each write.
func BenchmarkModifyOneOf10000(b *testing.B) {
	schema, bag := many(b)
	var text []byte
	for i := 0; b.Loop(); i++ {
		bag = write(b, schema, bag, "weight.item-5000", float64(i))
		text = bag.AppendJSON(text[:0])
	}
}

// BenchmarkAddRemoveOneOf10000 removes one item and brings it back, both encoded.
func BenchmarkAddRemoveOneOf10000(b *testing.B) {
	schema, bag := many(b)
	var text []byte
	for b.Loop() {
		bag = write(b, schema, bag, "items.item-5000", nil)
		text = bag.AppendJSON(text[:0])
		bag = write(b, schema, bag, "items.item-5000", map[string]any{"address": "10.0.0.1"})
		text = bag.AppendJSON(text[:0])
	}
}

func BenchmarkReadTreeOf10000(b *testing.B) {
	schema, bag := many(b)
	for b.Loop() {
		if _, err := schema.Read(bag, "v", nil, confdb.ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func write(b *testing.B, schema *confdb.Schema, bag databag.Bag, request string, value any) databag.Bag {
	b.Helper()
	tx := schema.Begin(bag)
	if err := tx.Write("v", map[string]any{request: value}); err != nil {
		b.Fatal(err)
	}
	after, err := tx.Commit(bag)
	if err != nil {
		b.Fatal(err)
	}
	return after
}

package confdb_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// interfaces returns a schema in which one request spreads over a map by three rules, and a value of so many entries.
func interfaces(b *testing.B, count int) (*confdb.Schema, map[string]any) {
	b.Helper()
	schema, err := confdb.New("acme", "net", json.RawMessage(`{"schema": {"interfaces": {
		"keys": {"type": "string", "pattern": "^[a-z0-9-]{1,15}$"}, "values": {"schema": {
			"config": {"schema": {"type": {"type": "string", "choices": ["wired", "wifi"]}, "address": "string"}},
			"stats": {"schema": {"sent": {"type": "int", "min": 0}}}}}}}}`),
		map[string]any{"v": map[string]any{"rules": []any{
			map[string]any{"request": "config.{name}", "storage": "interfaces.{name}.config", "content": []any{
				map[string]any{"storage": "type"}, map[string]any{"storage": "address"},
			}},
			map[string]any{"request": "stats.{name}", "storage": "interfaces.{name}.stats"},
		}}})
	if err != nil {
		b.Fatal(err)
	}
	config := map[string]any{}
	for i := range count {
		config[fmt.Sprintf("eth%d", i)] = map[string]any{"type": "wired", "address": fmt.Sprintf("10.0.%d.%d", i/256, i%256)}
	}
	return schema, config
}

// BenchmarkSpread writes one value that becomes three writes for each of its entries: into an empty bag, and over what
// data. Ten times the entries should cost about ten times the time.
func BenchmarkSpread(b *testing.B) {
	for _, count := range []int{1, 1000, 10_000} {
		schema, config := interfaces(b, count)
		for name, bag := range map[string]databag.Bag{"new": {}, "over": write(b, schema, databag.Bag{}, "config", config)} {
			b.Run(fmt.Sprintf("%s-%d", name, count), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					write(b, schema, bag, "config", config)
				}
			})
		}
	}
}

// BenchmarkSpreadUnset removes one field of each entry in one write.
func BenchmarkSpreadUnset(b *testing.B) {
	schema, config := interfaces(b, 10_000)
	bag := write(b, schema, databag.Bag{}, "config", config)
	less := map[string]any{}
	for name := range config {
		less[name] = map[string]any{"type": "wifi", "address": nil}
	}
	b.ReportAllocs()
	for b.Loop() {
		write(b, schema, bag, "config", less)
	}
}

// BenchmarkReadSpread reads a whole view in which three rules lead to each of 10,000 entries.
func BenchmarkReadSpread(b *testing.B) {
	schema, config := interfaces(b, 10_000)
	bag := write(b, schema, databag.Bag{}, "config", config)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schema.Read(bag, "v", nil, confdb.ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnsetInList removes a field of each of 10,000 elements of a list in one write.
func BenchmarkUnsetInList(b *testing.B) {
	schema, err := confdb.New("acme", "net", json.RawMessage(`{"schema": {"peers": {"type": "array", "values": {
		"schema": {"key": "string", "note": "string"}}}}}`), map[string]any{"v": map[string]any{"rules": []any{
		map[string]any{"storage": "peers"}, map[string]any{"request": "notes[{n}]", "storage": "peers[{n}].note"},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	var peers, notes []any
	for i := range 10_000 {
		peers = append(peers, map[string]any{"key": fmt.Sprint(i), "note": "x"})
		notes = append(notes, nil)
	}
	bag := write(b, schema, databag.Bag{}, "peers", peers)
	for b.Loop() {
		write(b, schema, bag, "notes", notes)
	}
}

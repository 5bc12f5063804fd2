package viewschema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/internal/viewschema"
	"aspects-poc/registry/confdb"

	"github.com/google/go-cmp/cmp"
)

const storage = `{"aliases": {"port": {"type": "int", "min": 1, "max": 65535}},
	"schema": {
		"proxy": {"schema": {"host": {"type": "string", "pattern": "^[a-z.]+$"}, "port": "${port}",
			"password": {"type": "string", "visibility": "secret"}, "note": {"type": "string", "pattern": "(?i)^a"}}, "required": ["host"]},
		"rates": {"keys": {"type": "string", "choices": ["day", "night"]}, "values": {"type": "number", "choices": [1, 2.5]}},
		"free": "any"}}`

func parse(t *testing.T, views any) *confdb.Schema {
	t.Helper()
	schema, err := confdb.New("acme", "net", json.RawMessage(storage), views)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func rules(list ...map[string]any) map[string]any {
	all := make([]any, len(list))
	for i, rule := range list {
		all[i] = rule
	}
	return map[string]any{"view": map[string]any{"rules": all}}
}

func rule(request, storage, access string) map[string]any {
	return map[string]any{"request": request, "storage": storage, "access": access}
}

// TestOf has the JSON Schemas of small views. TestDescribed in registry/confdb compares such schemas with the engine.
func TestOf(t *testing.T) {
	tests := []struct {
		name   string
		views  map[string]any
		access viewschema.Access
		want   string // without $schema and $defs
	}{
		{"a whole map", rules(rule("p", "proxy", "read-write")), viewschema.Write,
			`{"type": "object", "minProperties": 1, "additionalProperties": false, "properties": {"p": {"type": "object", "minProperties": 1,
				"additionalProperties": false, "required": ["host"], "properties": {
					"host": {"type": "string", "pattern": "^[a-z.]+$"},
					"note": {"type": "string", "description": "It matches (?i)^a (RE2)."},
					"password": {"type": "string", "writeOnly": true},
					"port": {"type": "integer", "minimum": 1, "maximum": 65535}}}}}`},
		{"only what is read", rules(rule("host", "proxy.host", "read"), rule("port", "proxy.port", "write")), viewschema.Read,
			`{"type": "object", "additionalProperties": false, "properties": {"host": {"type": "string", "pattern": "^[a-z.]+$"}}}`},
		{"names for a placeholder", rules(rule("proxy.{k}", "proxy.{k}", "read")), viewschema.Read,
			`{"type": "object", "additionalProperties": false, "properties": {"proxy": {"type": "object", "additionalProperties": false,
				"properties": {
					"host": {"type": "string", "pattern": "^[a-z.]+$"}, "note": {"type": "string", "description": "It matches (?i)^a (RE2)."},
					"password": {"type": "string"}, "port": {"type": "integer", "minimum": 1, "maximum": 65535}}}}}`},
		{"keys of a map", rules(rule("rate.{time}", "rates.{time}", "read-write")), viewschema.Write,
			`{"type": "object", "minProperties": 1, "additionalProperties": false, "properties": {"rate": {"type": "object", "minProperties": 1,
				"propertyNames": {"type": "string", "enum": ["day", "night"]},
				"additionalProperties": {"type": "number", "enum": [1, 2.5]}}}}`},
		{"anything", rules(rule("free", "free", "read-write")), viewschema.Write,
			`{"type": "object", "minProperties": 1, "additionalProperties": false, "properties": {"free": {"$ref": "#/$defs/value"}}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := viewschema.Of(parse(t, test.views), "view", test.access)
			if !ok {
				t.Fatal("no rule")
			}
			delete(got, "$schema")
			delete(got, "$defs")
			if diff := cmp.Diff(decode(t, test.want), decode(t, encode(t, got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAll(t *testing.T) {
	views := rules(rule("host", "proxy.host", "write"))
	views["shown"] = map[string]any{"rules": []any{rule("host", "proxy.host", "read")}}
	schema := parse(t, views)
	if _, ok := viewschema.Of(schema, "shown", viewschema.Write); ok {
		t.Error("a view without a rule to write is described")
	}
	all := viewschema.All(schema, viewschema.Write)
	if properties := all["properties"].(viewschema.Schema); len(properties) != 1 || properties["view"] == nil {
		t.Errorf("got %v, want only the view that can be written", properties)
	}
}

// Rules with a name or a placeholder at each level have 2^20 places. The description ends before.
func TestManyPlaces(t *testing.T) {
	var list []map[string]any
	for level := range 20 {
		request := make([]string, 20)
		for i := range request {
			request[i] = "{k" + string(rune('a'+i)) + "}"
		}
		request[level] = "name"
		list = append(list, rule(strings.Join(request, "."), "free."+strings.Join(request, "."), "read"))
	}
	schema, ok := viewschema.Of(parse(t, rules(list...)), "view", viewschema.Read)
	if size := len(encode(t, schema)); !ok || size > 10<<20 {
		t.Errorf("ok %v, %d bytes", ok, size)
	}
}

func encode(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

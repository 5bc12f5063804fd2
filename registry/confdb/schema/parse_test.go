package schema_test

import (
	"strings"
	"testing"

	"aspects-poc/registry/confdb/schema"
)

// entry returns a storage schema with one entry, of the type given as JSON.
func entry(kind string) string { return `{"schema": {"port": ` + kind + `}}` }

func aliased(aliases, kind string) string {
	return `{"aliases": ` + aliases + `, "schema": {"port": ` + kind + `}}`
}

func TestParseErrors(t *testing.T) {
	const subkey = `^[a-z](?:-?[a-z0-9])*$`
	for _, test := range []struct{ storage, want string }{
		// Top level.
		{`[]`, `cannot parse top level schema as map: json: cannot unmarshal array into Go value of type map[string]json.RawMessage`},
		{`{"type": 1, "schema": {}}`, `cannot parse top level schema's "type" entry: json: cannot unmarshal number into Go value of type string`},
		{`{"type": "array", "schema": {}}`, `cannot parse top level schema: unexpected declared type "array", should be "map" or omitted`},
		{`{}`, `cannot parse top level schema: must have a "schema" constraint`},
		{`{"values": "int"}`, `cannot parse top level schema: must have a "schema" constraint`},
		{`{"schema": {}, "keys": "string"}`, `cannot parse map: cannot use "schema" and "keys" constraints simultaneously`},
		{`{"schema": {}, "ephemeral": 1}`, `json: cannot unmarshal number into Go value of type bool`},
		// Type definitions.
		{entry(`7`), `cannot parse type definition: type must be expressed as map, string or list: json: cannot unmarshal number into Go value of type string`},
		{entry(`"map"`), `cannot parse "map": must be schema definition with constraints`},
		{entry(`"array"`), `cannot parse "array": must be schema definition with constraints`},
		{entry(`"port"`), `cannot parse unknown type "port"`},
		{entry(`"$mac"`), `cannot parse unknown type "$mac"`},
		{entry(`{"type": ["int"]}`), `cannot parse "type" constraint in type definition: json: cannot unmarshal array into Go value of type string`},
		// What every type takes.
		{entry(`{"type": "int", "ephemeral": "yes", "min": "x"}`), `json: cannot unmarshal string into Go value of type bool`},
		{entry(`{"type": "int", "visibility": true}`), `json: cannot unmarshal bool into Go value of type string`},
		{entry(`{"type": "int", "visibility": "public"}`), `cannot have a visibility field set to a value other than secret`},
		// Strings.
		{entry(`{"type": "string", "choices": 1}`), `cannot parse "choices" constraint: json: cannot unmarshal number into Go value of type []string`},
		{entry(`{"type": "string", "choices": []}`), `cannot have a "choices" constraint with an empty list`},
		{entry(`{"type": "string", "choices": ["a"], "pattern": "a"}`), `cannot use "choices" and "pattern" constraints in same schema`},
		{entry(`{"type": "string", "pattern": 1}`), `cannot parse "pattern" constraint: json: cannot unmarshal number into Go value of type string`},
		{entry(`{"type": "string", "pattern": "(wan"}`), "cannot parse \"pattern\" constraint: error parsing regexp: missing closing ): `(wan`"},
		// Numbers.
		{entry(`{"type": "int", "choices": {}}`), `cannot parse "choices" constraint: json: cannot unmarshal object into Go value of type []int64`},
		{entry(`{"type": "number", "choices": "x"}`), `cannot parse "choices" constraint: json: cannot unmarshal string into Go value of type []float64`},
		{entry(`{"type": "number", "choices": []}`), `cannot have "choices" constraint with empty list`},
		{entry(`{"type": "int", "choices": [1], "min": 1}`), `cannot have "choices" and "min" constraints`},
		{entry(`{"type": "int", "choices": [1], "max": 1}`), `cannot have "choices" and "max" constraints`},
		{entry(`{"type": "int", "min": 1.5}`), `cannot parse "min" constraint: json: cannot unmarshal number 1.5 into Go value of type int64`},
		{entry(`{"type": "number", "max": "9"}`), `cannot parse "max" constraint: json: cannot unmarshal string into Go value of type float64`},
		{entry(`{"type": "number", "min": 2, "max": 1}`), `cannot have "min" constraint with value greater than "max"`},
		{entry(`{"type": "int", "min": null, "max": -1}`), `cannot have "min" constraint with value greater than "max"`},
		// Lists.
		{entry(`{"type": "array"}`), `cannot parse "array": must have "values" constraint`},
		{entry(`{"type": "array", "values": "ip"}`), `cannot parse "array" values type: cannot parse unknown type "ip"`},
		{entry(`{"type": "array", "values": "int", "unique": 1}`), `cannot parse array's "unique" constraint: json: cannot unmarshal number into Go value of type bool`},
		// Maps.
		{entry(`{"required": ["a"], "values": "int"}`), `cannot parse map: cannot use "required" without "schema" constraint`},
		{entry(`{"schema": {}, "keys": "string"}`), `cannot parse map: cannot use "schema" and "keys" constraints simultaneously`},
		{entry(`{"schema": {}, "values": "int"}`), `cannot parse map: cannot use "schema" and "values" constraints simultaneously`},
		{entry(`{}`), `cannot parse map: must have "schema" or "keys"/"values" constraint`},
		{entry(`{"schema": 1}`), `cannot parse map's "schema" constraint: json: cannot unmarshal number into Go value of type map[string]json.RawMessage`},
		{entry(`{"schema": {"MTU": "int"}}`), `cannot parse map: key "MTU" doesn't conform to required format: ` + subkey},
		{entry(`{"schema": {"mtu": "size"}}`), `cannot parse unknown type "size"`},
		{entry(`{"schema": {"mtu": "int"}, "required": ["up"]}`), `cannot parse map's "required" constraint: required key "up" must have schema entry`},
		{entry(`{"schema": {"mtu": "int"}, "required": [["mtu"], ["up"]]}`), `cannot parse map's "required" constraint: required key "up" must have schema entry`},
		{entry(`{"schema": {"mtu": "int"}, "required": "mtu"}`), `cannot parse map's "required" constraint: json: cannot unmarshal string into Go value of type []string`},
		{entry(`{"values": "size"}`), `cannot parse unknown type "size"`},
		// Keys of maps.
		{entry(`{"keys": "int"}`), `cannot parse "keys" constraint: keys must be based on string but type was int`},
		{entry(`{"keys": {"type": "int"}}`), `cannot parse "keys" constraint: must be based on string but type was int`},
		{entry(`{"keys": {"type": 1}}`), `cannot parse "keys" constraint: json: cannot unmarshal number into Go value of type string`},
		{entry(`{"keys": {"ephemeral": 1}}`), `cannot parse "keys" constraint: json: cannot unmarshal number into Go value of type bool`},
		{entry(`{"keys": {"choices": []}}`), `cannot parse "keys" constraint: cannot have a "choices" constraint with an empty list`},
		{entry(`{"keys": 1}`), `cannot parse "keys" constraint: json: cannot unmarshal number into Go value of type map[string]json.RawMessage`},
		{entry(`{"keys": "${mac}"}`), `cannot parse "keys" constraint: cannot find alias "mac"`},
		{entry(`{"keys": {"type": "${mac}"}}`), `cannot parse "keys" constraint: cannot find alias "mac"`},
		{aliased(`{"mac": "int"}`, `{"keys": "${mac}"}`), `cannot parse "keys" constraint: key type "mac" must be based on string`},
		// Aliases.
		{aliased(`[]`, `"int"`), `cannot parse aliases map: json: cannot unmarshal array into Go value of type map[string]json.RawMessage`},
		{aliased(`{"MAC": "int"}`, `"int"`), `cannot parse alias name "MAC": must match ` + subkey},
		{aliased(`{"mac": "hex"}`, `"int"`), `cannot parse alias "mac": cannot parse unknown type "hex"`},
		{aliased(`{"mac": {"type": "int", "ephemeral": true}}`, `"int"`), `cannot use "ephemeral" in user-defined type: mac`},
		{aliased(`{"mac": {"values": {"type": "int", "ephemeral": true}}}`, `"int"`), `cannot use "ephemeral" in user-defined type: mac`},
		{aliased(`{"mac": {"type": "int", "visibility": "secret"}}`, `"int"`), `cannot use "visibility" in user-defined type: mac`},
		{aliased(`{"mac": {"keys": {"visibility": "secret"}}}`, `"int"`), `cannot use "visibility" in user-defined type: mac`},
		{entry(`"${mac}"`), `cannot find alias "mac"`},
		// snapd accepts or refuses this by chance.
		{aliased(`{"addr": "string", "mac": "${addr}"}`, `"${mac}"`), `cannot parse alias "mac": cannot find alias "addr"`},
		// Alternatives.
		{entry(`[]`), `cannot parse alternative types: alternative type list cannot be empty`},
		{entry(`null`), `cannot parse alternative types: alternative type list cannot be empty`},
		{entry(`["int", []]`), `cannot parse alternative types: cannot parse alternative types: alternative type list cannot be empty`},
		{entry(`["int", "ip"]`), `cannot parse alternative types: cannot parse unknown type "ip"`},
		{entry(`["int", {"type": "string", "visibility": "secret"}]`), `cannot parse alternative types: cannot have alternatives with different levels of visibility`},
	} {
		_, err := schema.Parse([]byte(test.storage))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.storage, err, test.want)
		}
	}
	if _, err := schema.Parse([]byte(`{"schema"`)); err == nil || !strings.HasPrefix(err.Error(), "cannot parse top level schema as map: ") {
		t.Errorf("half a schema: %v", err)
	}
}

func TestParseAccepts(t *testing.T) {
	for _, storage := range []string{
		`{"schema": {}}`,
		`{"type": "map", "schema": {"mtu": "int"}, "required": ["mtu"], "visibility": "secret", "ephemeral": true}`,
		entry(`{"type": "int", "pattern": "(ignored", "unknown": 1}`),
		entry(`{"type": "int", "min": 1, "max": 1}`),
		entry(`["int", ["string", ["bool"]]]`),
		entry(`{"schema": {"mtu": "int"}, "required": []}`),
		entry(`{"schema": {"mtu": "int"}, "required": [[]]}`),
		entry(`{"keys": {"pattern": "^e"}, "values": "any"}`),
		entry(`{"keys": {"type": "string", "choices": ["a"]}}`),
		entry(`{"keys": "string"}`),
		aliased(`{"mac": "string"}`, `{"keys": {"type": "${mac}", "visibility": "secret"}, "values": {"type": "${mac}", "ephemeral": true}}`),
		aliased(`{"mac": "string"}`, `{"keys": "${mac}"}`),
		aliased(`{}`, `{"type": "array", "values": ["int", {"values": "any"}], "unique": true}`),
	} {
		if _, err := schema.Parse([]byte(storage)); err != nil {
			t.Errorf("%s: %v", storage, err)
		}
	}
}

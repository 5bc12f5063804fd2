package confdb_test

import (
	"encoding/json"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// If a rule has several faults, the error is the one that snapd finds first.
func TestOrderOfChecks(t *testing.T) {
	const storage = `{"aliases": {"either": ["int", "string"]}, "schema": {
		"m": {"values": {"schema": {"f": "string", "alt": "${either}"}}}, "l": {"type": "array", "values": {"values": "string"}},
		"any-first": ["any", "${either}"]}}`
	for _, test := range []struct{ name, request, storage, want string }{
		{"an empty parameter is a matter of format", "m.{k}", "m.{k}[.F={}]", `invalid storage "m.{k}[.F={}]": field filter must be in the format [.<field>={<param_name>}]`},
		{"formats before names", "m.{k}", "m.{k}[.F={p}][.g]", `invalid storage "m.{k}[.F={p}][.g]": field filter must be in the format [.<field>={<param_name>}]`},
		{"names before subkeys", "m.{k}", "M[.F={p}]", `invalid storage "M[.F={p}]": invalid field filter [.F={p}]: both field and placeholder name must conform to ^[a-z](?:-?[a-z0-9])*$`},
		{"a filter first", "m.{k}", "[.f={p}]m.{k}", `invalid storage "[.f={p}]m.{k}": invalid sub-key: field filters, if present, must be at the end of a sub-key`},
		{"a filter alone", "m.{k}", "[.f={p}].m", `invalid storage "[.f={p}].m": cannot have empty subkeys`},
		{"key placeholders before index placeholders", "l[{n}].{k}", "l[{x}].{y}", `placeholder "k" from request "l[{n}].{k}" is absent from storage "l[{x}].{y}"`},
		{"the type at the end before lists on the way", "l.{k}.{o}", "l.{k}[.f={p}].{o}[.f={p}]", `key "{k}" cannot be used to index array`},
		{"the way without filters", "m.{k}.f.x", "m.{k}[.f={p}].f.x",
			`storage path "m.{k}[.f={p}].f.x" for request "m.{k}.f.x" is invalid after "m.{k}.f": cannot follow path beyond "string" type`},
		{"an alias of alternatives with a filter", "m.{k}.alt", "m.{k}.alt[.f={p}]", `field filters can only be applied to maps but schema at m.{k}.alt[.f={p}] expects alt`},
		{"an alias of alternatives among others", "m.{k}.{f}", "m.{k}.{f}", "internal error: unexpected Alt schema type along path"},
		{"any before an alias of alternatives", "any-first", "any-first", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			views := object{"v": object{"parameters": object{"p": object{}}, "rules": []any{object{"request": test.request, "storage": test.storage}}}}
			_, err := confdb.New("acc", "s", json.RawMessage(storage), views)
			got, want := "", ""
			if err != nil {
				got = err.Error()
			}
			if test.want != "" {
				want = `cannot define view "v": ` + test.want
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// As on snapd, an unprivileged read fails as a whole if a path goes beyond a scalar or into "any", except through an alias.
func TestUnprivilegedBeyondScalars(t *testing.T) {
	schema, err := confdb.New("acc", "s", json.RawMessage(`{"aliases": {"text": "string"}, "schema": {"free": "any",
		"either": ["string", {"values": "string"}], "mixed": {"schema": {"a": "string", "b": {"values": "string"}}}, "named": "${text}"}}`),
		object{"v": object{"rules": []any{object{"storage": "free.x"}, object{"storage": "either.x"}, object{"storage": "mixed.{k}.x"}, object{"storage": "mixed.b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ bag, request, want string }{
		{`{"free": {"x": 1}}`, "free.x", "cannot follow path beyond scalar type"},
		{`{"either": "text"}`, "either.x", "cannot follow path beyond scalar type"},
		{`{"either": {"x": "y"}}`, "either.x", ""},
		{`{"mixed": {"a": "t", "b": {"x": "y"}}}`, "mixed.c.x", `cannot get "mixed.c.x" through acc/s/v: unauthorized access`},
		{`{"mixed": {"a": "t", "b": {"x": "y"}}}`, "mixed", "cannot follow path beyond scalar type"},
		{`{"mixed": {"b": {"x": "y"}}}`, "mixed", ""},
	} {
		bag, err := databag.Parse([]byte(test.bag))
		if err != nil {
			t.Fatal(err)
		}
		for _, requests := range [][]string{{test.request}, {test.request, test.request}} {
			got := ""
			if _, err := schema.Read(bag, "v", requests, confdb.ReadOptions{Unprivileged: true}); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%s, %q: got %q, want %q", test.bag, requests, got, test.want)
			}
		}
	}
}

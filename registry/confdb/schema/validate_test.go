package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

func mustParse(t testing.TB, storage string) *schema.Schema {
	t.Helper()
	parsed, err := schema.Parse([]byte(storage))
	if err != nil {
		t.Fatalf("%s: %v", storage, err)
	}
	return parsed
}

func mustBag(t testing.TB, data string) databag.Bag {
	t.Helper()
	bag, err := databag.Parse([]byte(data))
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return bag
}

func mustPath(t testing.TB, text string) path.Path {
	t.Helper()
	parsed, err := path.ParseStorage(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestValidate has types with values, and the fault of each value; "" for none.
func TestValidate(t *testing.T) {
	type values map[string]string
	for _, test := range []struct {
		kind   string
		values values
	}{
		{`"string"`, values{
			`"wan"`: ``, `""`: ``,
			`1`: `expected string type but value was number`, `true`: `expected string type but value was bool`,
			`[]`: `expected string type but value was array`, `{}`: `expected string type but value was object`,
			`null`: `cannot accept null value for "string" type`,
		}},
		{`{"type": "string", "choices": ["wan", "lan"]}`, values{`"lan"`: ``, `"dmz"`: `string "dmz" is not one of the allowed choices`}},
		{`{"type": "string", "pattern": "th[0-9]"}`, values{
			`"eth0.7"`: ``, `"eth\n"`: `expected string matching th[0-9] but value was "eth\n"`,
		}},
		{`"int"`, values{
			`9223372036854775807`: ``, `-5`: ``, `-0`: ``,
			`2.5`: `expected int type but value was number 2.5`, `1.0`: `expected int type but value was number 1.0`,
			`1e3`: `expected int type but value was number 1e3`, `9223372036854775808`: `expected int type but value was number 9223372036854775808`,
			`"5"`: `expected int type but value was string`, `null`: `cannot accept null value for "int" type`,
		}},
		{`{"type": "int", "min": 68, "max": 9000}`, values{
			`68`: ``, `9000`: ``, `67`: `67 is less than the allowed minimum 68`, `9001`: `9001 is greater than the allowed maximum 9000`,
		}},
		{`{"type": "int", "max": null}`, values{`1`: `1 is greater than the allowed maximum 0`}},
		{`{"type": "int", "choices": [10, 100]}`, values{`100`: ``, `1000`: `1000 is not one of the allowed choices`}},
		{`"number"`, values{`1`: ``, `1e-7`: ``, `1e400`: `expected number type but value was number 1e400`, `false`: `expected number type but value was bool`}},
		{`{"type": "number", "min": 1e-7, "max": 5000000}`, values{
			`0.00000001`: `1e-08 is less than the allowed minimum 1e-07`, `123456789`: `1.23456789e+08 is greater than the allowed maximum 5e+06`,
		}},
		{`{"type": "number", "choices": [0.5, 1]}`, values{`1.0`: ``, `2`: `2 is not one of the allowed choices`}},
		{`"bool"`, values{`true`: ``, `"true"`: `expected bool type but value was string`, `null`: `cannot accept null value for "bool" type`}},
		{`"any"`, values{`[null, {"A b": null}]`: ``, `0`: ``, `null`: `cannot accept null value for "any" type`}},
		{`{"values": "int"}`, values{
			`{}`: ``, `{"a": 1, "b": 2}`: ``, `[]`: `expected map type but value was array`, `null`: `cannot accept null value for "map" type`,
			`{"A": 1}`:          `key "A" doesn't conform to required format: ^[a-z](?:-?[a-z0-9])*$`,
			`{"a": "x", "B":1}`: `key "B" doesn't conform to required format: ^[a-z](?:-?[a-z0-9])*$`,
			`{"a": "x"}`:        `.a: expected int type but value was string`,
		}},
		{`{"keys": {"pattern": "^eth"}, "values": "int"}`, values{
			// All keys come before all values.
			`{"a": "x", "wlan0": 1}`: `.a: expected string matching ^eth but value was "a"`,
			`{"eth0": "x"}`:          `.eth0: expected int type but value was string`,
		}},
		{`{"keys": {"choices": ["eth0"]}}`, values{`{"eth0": [null]}`: ``, `{"eth1": 1}`: `.eth1: string "eth1" is not one of the allowed choices`}},
		{`{"schema": {"mtu": "int", "up": "bool", "mac": "string"}, "required": [["mtu", "up"], ["mac"]]}`, values{
			`{"mtu": 1, "up": true}`: ``, `{"mac": ""}`: ``, `{"mac": "", "mtu": 1}`: ``,
			`{"mtu": 1}`:            `cannot find required combinations of keys`,
			`{}`:                    `cannot find required combinations of keys`,
			`{"mtu": "x", "v4": 1}`: `map contains unexpected key "v4"`,
			`{"mac": 1}`:            `.mac: expected string type but value was number`,
		}},
		{`{"schema": {"mtu": "int"}, "required": [["mtu"], []]}`, values{`{}`: ``}},
		{`{"schema": {"mtu": "int"}, "required": []}`, values{`{}`: ``}},
		{`{"type": "array", "values": {"values": "int"}}`, values{
			`[]`: ``, `[{"a": 1}, {}]`: ``, `{}`: `expected array type but value was object`,
			`[{}, {"a": "x"}]`: `[1].a: expected int type but value was string`,
			`[null]`:           `[0]: cannot accept null value for "map" type`,
		}},
		{`{"type": "array", "values": "any", "unique": true}`, values{
			`[1, "1", true]`: ``, `[{"a": 1, "b": 2}, {"b": 2, "a": 1}]`: `cannot accept duplicate values for array with "unique" constraint`,
			`[1, 1.0]`: ``, `[1, 1, null]`: `[2]: cannot accept null value for "any" type`,
		}},
		{`["int", {"type": "string", "choices": ["auto"]}]`, values{
			`1`: ``, `"auto"`: ``,
			`"x"`: "no matching schema:\n\texpected int type but value was string\n\tor string \"x\" is not one of the allowed choices",
		}},
		{`["int", {"values": {"type": "array", "values": "int"}}]`, values{
			`{"a": ["x"]}`: "no matching schema:\n\texpected int type but value was object\n\tor ...\"a[0]\": expected int type but value was string",
		}},
	} {
		for value, want := range test.values {
			t.Run(test.kind+" "+value, func(t *testing.T) {
				err := mustParse(t, entry(test.kind)).Validate(mustBag(t, `{"port": `+value+`}`))
				below, cause, deeper := strings.Cut(want, ": ")
				if !deeper || !strings.HasPrefix(want, ".") && !strings.HasPrefix(want, "[") {
					below, cause = "", want
				}
				var refused *schema.ValidationError
				switch {
				case want == "" && err == nil:
				case !errors.As(err, &refused):
					t.Errorf("got %v, want %s", err, want)
				case refused.Path != "port"+below || refused.Cause != cause:
					t.Errorf("got %q: %s\nwant %q: %s", refused.Path, refused.Cause, "port"+below, cause)
				case err.Error() != fmt.Sprintf("cannot accept element in %q: %s", "port"+below, cause):
					t.Errorf("message: %v", err)
				}
			})
		}
	}
}

func TestValidateTopLevel(t *testing.T) {
	parsed := mustParse(t, `{"aliases": {"mac": {"type": "string", "pattern": ":"}}, "schema": {"mac": "${mac}", "gw": "string"}, "required": ["mac"]}`)
	for data, want := range map[string]string{
		`{"mac": "0:1"}`:          ``,
		`{}`:                      `cannot accept top level element: cannot find required combinations of keys`,
		`{"Mac": 1}`:              `cannot accept top level element: key "Mac" doesn't conform to required format: ^[a-z](?:-?[a-z0-9])*$`,
		`{"mac": "0:1", "dns":1}`: `cannot accept top level element: map contains unexpected key "dns"`,
		`{"mac": "01"}`:           `cannot accept element in "mac": expected string matching : but value was "01"`,
	} {
		if got := strings.TrimPrefix(say(parsed.Validate(mustBag(t, data))), "error: "); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
	}
}

// TestMarks: a type that checks a node decides by itself, whatever other types have accepted the node before. Versions of a map
// share their keys.
func TestMarks(t *testing.T) {
	narrow := mustParse(t, entry(`{"schema": {"a": "int", "b": "int"}}`))
	wide := mustParse(t, entry(`[{"values": "string"}, {"keys": "string", "values": ["int", "bool"]}]`))
	bag := mustBag(t, `{"port": {"a": 1, "b": 2}}`)
	for range 3 {
		for _, parsed := range []*schema.Schema{narrow, wide} {
			if err := parsed.Validate(bag); err != nil {
				t.Fatal(err)
			}
		}
	}
	flag, _ := databag.FromValue(true)
	changed, err := bag.Set(mustPath(t, "port.b"), flag)
	if err != nil {
		t.Fatal(err)
	}
	if err := wide.Validate(changed); err != nil {
		t.Error(err)
	}
	if err := narrow.Validate(changed); err == nil {
		t.Error("the narrow schema accepts what only the wide one may")
	}
	text, _ := databag.FromValue("x")
	if changed, err = changed.Set(mustPath(t, "port.a"), text); err != nil {
		t.Fatal(err)
	}
	if err := wide.Validate(changed); err == nil {
		t.Error("a map of a string and a bool fits neither alternative")
	}
}

// TestConcurrentValidation: one bag is validated by two schemas from many goroutines (run with -race).
func TestConcurrentValidation(t *testing.T) {
	ints, strict := mustParse(t, entry(`{"values": {"values": "int"}}`)), mustParse(t, entry(`{"values": {"values": {"type": "int", "max": 5}}}`))
	bag := mustBag(t, `{"port": {"a": {"x": 1}, "b": {"x": 2, "y": 9}}}`)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				if err := ints.Validate(bag); err != nil {
					t.Error(err)
				}
				if err := strict.Validate(bag); err == nil {
					t.Error("9 is accepted where 5 is the maximum")
				}
			}
		})
	}
	group.Wait()
}

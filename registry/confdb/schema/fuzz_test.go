package schema_test

import (
	"encoding/json"
	"testing"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// FuzzParse: no text makes the parser panic. Its result, and the schema's verdict on data, are always the same, whether or not
// parts of the data were validated before.
func FuzzParse(f *testing.F) {
	for _, seed := range []struct{ storage, data, where, value string }{
		{`{"schema":{"eth0":{"schema":{"mtu":{"type":"int","min":576,"max":9000},"up":"bool"},"required":[["mtu"],["up"]]}}}`,
			`{"eth0":{"mtu":1500}}`, "eth0.mtu", `70`},
		{`{"aliases":{"mac":{"type":"string","pattern":"^[0-9a-f:]{17}$"}},"schema":{"arp":{"keys":{"type":"string","choices":["a","b"]},"values":"${mac}"},"gw":{"type":"${mac}","visibility":"secret"}}}`,
			`{"arp":{"a":"52:54:00:12:34:56"},"gw":"52:54:00:12:34:56"}`, "arp.c", `"52:54:00:12:34:56"`},
		{`{"schema":{"peers":{"type":"array","unique":true,"values":["int",{"values":"any"},["number"]]}}}`, `{"peers":[1,{"a":[null]},2.5]}`, "peers[1]", `1`},
		{`{"schema":{"k":{"keys":"string"},"n":{"type":"number","choices":[1,2e3]}}}`, `{"k":{"x":{"y":1}},"n":2000}`, "k.x.y.z", `null`},
		{`{"schema":{"same":[{"values":{"schema":{"a":"int"}}},{"values":{"keys":"string","values":["string","int"]}}]}}`,
			`{"same":{"x":{"a":1},"y":{"a":2}}}`, "same.y", `{"b":"c"}`},
		{`null`, `{}`, "a", `1`}, {`[]`, ``, "", ``}, {`{"schema":null}`, `{}`, "a", `1`}, {`{"type":3}`, `{}`, "a", `{}`},
		{`{"schema":{"a":null}}`, `{}`, "a", `1`}, {`{"schema":{"a":{"type":"array"}}}`, `{}`, "a[0]", `1`},
	} {
		f.Add([]byte(seed.storage), []byte(seed.data), seed.where, []byte(seed.value))
	}
	f.Fuzz(func(t *testing.T, storage, data []byte, where string, raw []byte) {
		parsed, err := schema.Parse(storage)
		_, again := schema.Parse(storage)
		if say(err) != say(again) {
			t.Fatalf("%s: %v, then %v", storage, err, again)
		}
		if err != nil {
			return
		}
		bag, err := databag.Parse(data)
		if err != nil {
			return
		}
		verdict(t, parsed, bag, storage)
		at, err := path.ParseStorage(where)
		if err != nil || len(at) == 0 || at[0].List() {
			return
		}
		types, err := parsed.At(at)
		if (err == nil) != (len(types) > 0) || err == nil && !schema.Compatible(types, types) {
			t.Errorf("%s: at %s: %v %v", storage, where, types, err)
		}
		_, _ = parsed.Ephemeral(at)
		public, err := parsed.Public(bag, at)
		if err == nil && len(public.AppendJSON(nil)) > len(bag.AppendJSON(nil)) {
			t.Errorf("%s: of %s, %s is public", storage, data, public.AppendJSON(nil))
		}
		if unset, err := bag.Unset(at); err == nil {
			verdict(t, parsed, unset, storage)
		}
		var value any
		if json.Unmarshal(raw, &value) != nil || at.Open() {
			return
		}
		node, err := databag.FromValue(value)
		if err != nil {
			t.Fatal(err)
		}
		if set, err := bag.Set(at, node); err == nil {
			verdict(t, parsed, set, storage)
			verdict(t, parsed, bag, storage)
		}
	})
}

// verdict validates a bag as it is, and once more after both have been parsed anew.
func verdict(t *testing.T, parsed *schema.Schema, bag databag.Bag, storage []byte) {
	t.Helper()
	got := say(parsed.Validate(bag))
	fresh, err := schema.Parse(storage)
	if err != nil {
		t.Fatal(err)
	}
	clean, err := databag.Parse(bag.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{say(fresh.Validate(clean)), say(fresh.Validate(clean)), say(parsed.Validate(clean)), say(fresh.Validate(bag))} {
		if got != want {
			t.Fatalf("%s\n%s\nsays %q, but %q for another (%d)", storage, bag.AppendJSON(nil), got, want, i)
		}
	}
}

func say(err error) string {
	if err == nil {
		return ""
	}
	return "error: " + err.Error()
}

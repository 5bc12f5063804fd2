package databag_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// FuzzParse: the JSON of a bag is parsed as an equal bag, and its values are those of encoding/json.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"eth0":{"mtu":1500,"up":true,"mac":"52:54:00:12:34:56","peers":[1,{"a":null}]}}`, `[]`, `null`, `{"a":1e3}`, `{"a":1}{}`,
		`{"a":"<\u2028&>\u0000\ud800"}`, `{"a":1,"a":2}`, `{"":[]}`, "{\"a\":\"\xff\"}", `{"a":-0,"b":1e999,"c":1.0}`, ``, `{"a":`, ` {"a":[[[]]]} `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		bag, err := databag.Parse(text)
		if err != nil {
			return
		}
		printed := bag.AppendJSON(nil)
		again, err := databag.Parse(printed)
		if err != nil {
			t.Fatalf("%q prints as %q, which is refused: %v", text, printed, err)
		}
		if got := again.AppendJSON(nil); string(got) != string(printed) {
			t.Fatalf("%q prints as %q, and that as %q", text, printed, got)
		}
		if changed := databag.Changed(bag, again, 1<<20); len(changed) > 0 && !hugeNumber(bag.Value()) {
			t.Fatalf("%q differs from itself in %q", text, changed)
		}
		if !reflect.DeepEqual(bag.Value(), again.Value()) {
			t.Fatalf("%q does not come back: %v", text, again.Value())
		}
		built, err := databag.FromValue(bag.Value())
		if err != nil || string(built.AppendJSON(nil)) != string(printed) {
			t.Fatalf("%q cannot be built of its values: %v", text, err)
		}
	})
}

// hugeNumber reports whether a value has a number that does not fit a float64. It equals only its own text.
func hugeNumber(value any) bool {
	switch value := value.(type) {
	case json.Number:
		_, err := value.Float64()
		return err != nil
	case []any:
		for _, element := range value {
			if hugeNumber(element) {
				return true
			}
		}
	case map[string]any:
		for _, entry := range value {
			if hugeNumber(entry) {
				return true
			}
		}
	}
	return false
}

// FuzzEdit: Get returns the value that was set at a path, and no data after unset. The original bag does not change.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(`{"eth0":{"mtu":1500}}`), "eth0.mtu", []byte(`9000`))
	f.Add([]byte(`{"peers":[{"key":"x"},null,3]}`), "peers[1].key", []byte(`"y"`))
	f.Add([]byte(`{"peers":[[1],[2]]}`), "peers[{n}][{m}]", []byte(`[1]`))
	f.Add([]byte(`{"a":{"b":{"c":1}}}`), "a.{x}.c", []byte(`{"d":null}`))
	f.Add([]byte(`{"a":[]}`), "a[0][0]", []byte(`{"d":{"e":null}}`))
	f.Add([]byte(`{"a":[1]}`), "a.b", []byte(`1`))
	f.Add([]byte(`{"l":[{"k":1,"v":2},{"v":3}]}`), "l[{n}][.k={p}].v", []byte(`1`))
	f.Fuzz(func(t *testing.T, text []byte, where string, raw []byte) {
		bag, err := databag.Parse(text)
		if err != nil {
			return
		}
		storage, err := path.ParseStorage(where)
		if err != nil || len(storage) == 0 || storage[0].List() {
			return // a bag is an object; no path begins with a bracket
		}
		before := string(bag.AppendJSON(nil))
		_, _ = bag.Get(storage, map[string]any{"x": "b", "p": 1.0})

		unset, err := bag.Unset(storage)
		if err == nil {
			if got, err := unset.Get(storage, nil); err == nil && !throughList(storage) {
				t.Errorf("%s: %q is unset, but there is %v", text, where, got)
			}
			if len(databag.Changed(bag, unset, 1<<20)) == 0 && !bag.Equal(unset, "") {
				t.Errorf("%s: unset %q: nothing changed, yet they are not equal", text, where)
			}
		}
		var value any
		if json.Unmarshal(raw, &value) == nil && !storage.Open() {
			node, err := databag.FromValue(value)
			if err != nil {
				t.Fatalf("cannot hold %s: %v", raw, err)
			}
			set, err := bag.Set(storage, node)
			if err == nil {
				want, _ := databag.FromValue(noNulls(value))
				got, err := set.Get(storage, nil)
				if errors.Is(err, databag.ErrNoData) || err != nil {
					t.Fatalf("%s: %q is set to %s, but: %v", text, where, raw, err)
				}
				if found, _ := databag.FromValue(got); string(found.AppendJSON(nil)) != string(want.AppendJSON(nil)) {
					t.Errorf("%s: %q is set to %s, but there is %s", text, where, raw, found.AppendJSON(nil))
				}
				if len(databag.Changed(bag, set, 1<<20)) == 0 && !bag.Equal(set, "") {
					t.Errorf("%s: set %q: nothing changed, yet they are not equal", text, where)
				}
				if again, err := databag.Parse(set.AppendJSON(nil)); err != nil || !again.Equal(set, "") {
					t.Errorf("%s: set %q to %s does not survive its JSON: %v", text, where, raw, err)
				}
			}
		}
		if after := string(bag.AppendJSON(nil)); after != before {
			t.Errorf("a bag was %s and became %s", before, after)
		}
	})
}

func throughList(p path.Path) bool {
	for _, accessor := range p {
		if accessor.List() {
			return true
		}
	}
	return false
}

func noNulls(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	left := map[string]any{}
	for key, inner := range object {
		if inner != nil {
			left[key] = noNulls(inner)
		}
	}
	return left
}

package databag_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

func bagOf(t testing.TB, text string) databag.Bag {
	t.Helper()
	bag, err := databag.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return bag
}

func pathOf(t testing.TB, text string) path.Path {
	t.Helper()
	parsed, err := path.ParseStorage(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return parsed
}

func nodeOf(t testing.TB, text string) *databag.Node {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	node, err := databag.FromValue(value)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// check compares JSON text or an error with what is wanted.
func check(t *testing.T, what, got string, err error, want string) {
	t.Helper()
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}

func TestGet(t *testing.T) {
	const data = `{"links":{"eth0":{"mtu":1500,"kind":"wire"},"lo":7,"wlan0":{"kind":"air","up":true}},
		"peers":[{"key":"a","port":1},3,null,{"key":"b"}],"grid":[[1,2],[3]],"mixed":{"a":[1],"b":{"c":2}},"odd":[{"a":1},[2]]}`
	for _, test := range []struct {
		at          string
		constraints map[string]any
		want        string
	}{
		{at: "links.eth0.mtu", want: `1500`},
		{at: "links.eth1", want: `no data`},
		{at: "peers[3].key", want: `"b"`},
		{at: "peers[4]", want: `no data`},
		{at: "peers[2].key", want: `no data`}, // below a null
		{at: "links.{k}", want: `{"eth0":{"kind":"wire","mtu":1500},"lo":7,"wlan0":{"kind":"air","up":true}}`},
		{at: "links.{k}.kind", want: `{"eth0":"wire","wlan0":"air"}`},
		{at: "links.{k}.speed", want: `no data`},
		{at: "mixed.{k}.c", want: `{"b":2}`}, // entries of the wrong shape are passed over
		{at: "peers[{n}].key", want: `["a",null,"b"]`},
		{at: "peers[{n}]", want: `[{"key":"a","port":1},3,null,{"key":"b"}]`},
		{at: "peers[{n}].host", want: `no data`},
		{at: "grid[{n}][1]", want: `[2,null]`},
		{at: "grid[{n}][{m}]", want: `[[1,2],[3]]`},
		{at: "links.eth0[0]", want: `cannot use "[0]" to access map at path "links.eth0"`},
		{at: "peers.key", want: `cannot use "key" to index list at path "peers"`},
		{at: "links.lo.mtu", want: `cannot decode databag at path "links.lo": expected container type but got number`},
		{at: "odd[{n}].a", want: `cannot use "a" to index list at path "odd[{n}]"`},
		// Constraints pick entries by key, and filters by field.
		{at: "links.{k}.kind", constraints: map[string]any{"k": "eth0"}, want: `{"eth0":"wire"}`},
		{at: "links.{k}.kind", constraints: map[string]any{"k": 1.0}, want: `no data`},
		{at: "links.{k}[.kind={x}].up", constraints: map[string]any{"x": "air"}, want: `{"wlan0":true}`},
		{at: "links.{k}[.kind={x}]", constraints: map[string]any{"x": "wire"}, want: `{"eth0":{"kind":"wire","mtu":1500},"lo":7}`},
		{at: "links.{k}[.mtu={x}].kind", constraints: map[string]any{"x": 1500.0}, want: `{"eth0":"wire"}`},
		{at: "links.{k}[.mtu={x}].kind", constraints: map[string]any{"x": json.Number("15e2")}, want: `{"eth0":"wire"}`},
		{at: "links.{k}[.mtu={x}].kind", constraints: map[string]any{"x": "1500"}, want: `no data`},
		{at: "links.{k}[.up={x}].kind", constraints: map[string]any{"x": true}, want: `{"wlan0":"air"}`},
		{at: "links.{k}[.up={x}].kind", constraints: map[string]any{"x": nil}, want: `no data`},
		{at: "links.{k}[.up={x}].kind", constraints: map[string]any{"y": "unused"}, want: `{"eth0":"wire","wlan0":"air"}`},
		{at: "links.eth0[.kind={x}].mtu", constraints: map[string]any{"x": "air"}, want: `no data`},
		{at: "peers[{n}][.key={x}].port", constraints: map[string]any{"x": "a"}, want: `[1,null]`}, // what is no object passes
		{at: "peers[0][.key={x}].port", constraints: map[string]any{"x": "b"}, want: `no data`},
	} {
		value, err := bagOf(t, data).Get(pathOf(t, test.at), test.constraints)
		got, _ := json.Marshal(value)
		check(t, test.at, string(got), err, test.want)
		if test.want == "no data" && !errors.Is(err, databag.ErrNoData) {
			t.Errorf("%s: %v is not ErrNoData", test.at, err)
		}
	}
}

func TestSet(t *testing.T) {
	for _, test := range []struct{ data, at, value, want string }{
		{`{}`, "links.eth0.mtu", `1500`, `{"links":{"eth0":{"mtu":1500}}}`},
		{`{"b":1}`, "a", `2`, `{"a":2,"b":1}`},
		{`{}`, "peers[0].key", `"k"`, `{"peers":[{"key":"k"}]}`},
		{`{"peers":[1]}`, "peers[1]", `2`, `{"peers":[1,2]}`},
		{`{"peers":[1,2]}`, "peers[0]", `3`, `{"peers":[3,2]}`},
		{`{"peers":[1]}`, "peers[2]", `2`, `cannot access "peers[2]": list has length 1`},
		{`{}`, "peers[1]", `2`, `cannot access "peers[1]": list has length 0`},
		{`{"mtu":1}`, "mtu.v4", `2`, `{"mtu":{"v4":2}}`}, // a scalar gives way
		{`{"mtu":1}`, "mtu[0]", `2`, `{"mtu":[2]}`},
		{`{"free":[null]}`, "free[0].k", `1`, `{"free":[{"k":1}]}`}, // snapd crashes here
		{`{"free":[null]}`, "free[0][0]", `1`, `{"free":[[1]]}`},
		{`{"peers":[1]}`, "peers.key", `2`, `cannot use "key" to index list at path "peers"`},
		{`{"links":{"a":1}}`, "links[0]", `2`, `cannot use "[0]" to access map at path "links"`},
		{`{}`, "a", `{"b":null,"c":{"d":null},"e":1}`, `{"a":{"c":{},"e":1}}`},
		{`{}`, "a", `[null,{"b":null}]`, `{"a":[null,{"b":null}]}`},
	} {
		before := bagOf(t, test.data)
		after, err := before.Set(pathOf(t, test.at), nodeOf(t, test.value))
		check(t, test.data+" "+test.at+"="+test.value, string(after.AppendJSON(nil)), err, test.want)
		if got := string(before.AppendJSON(nil)); got != test.data || err != nil && !after.Same(before) {
			t.Errorf("%s became %s", test.data, got)
		}
	}
}

func TestUnset(t *testing.T) {
	for _, test := range []struct {
		data string
		at   []string
		want string
	}{
		{`{"a":1,"b":2}`, []string{"a"}, `{"b":2}`},
		{`{"a":1,"b":2}`, []string{"c"}, `{"a":1,"b":2}`},
		{`{"a":1}`, nil, `{"a":1}`},
		{`{"a":{"b":{"c":1}}}`, []string{"a.b.c"}, `{}`}, // what becomes empty goes too
		{`{"a":{"b":{"c":1},"d":2}}`, []string{"a.b.c"}, `{"a":{"d":2}}`},
		{`{"a":{"b":1,"c":2}}`, []string{"a.b"}, `{"a":{"c":2}}`},
		{`{"l":[1,2,3]}`, []string{"l[1]"}, `{"l":[1,3]}`},
		{`{"l":[1]}`, []string{"l[1]"}, `{"l":[1]}`},
		{`{"l":[1]}`, []string{"l[0]"}, `{}`},
		{`{"l":[{"a":1},{"b":2}]}`, []string{"l[{n}].a"}, `{"l":[{"b":2}]}`},
		{`{"m":{"p":{"x":1},"q":{"x":2,"y":3}}}`, []string{"m.{k}.x"}, `{"m":{"q":{"y":3}}}`},
		{`{"m":{"p":1}}`, []string{"m.{k}"}, `{}`},
		{`{"a":{}}`, []string{"a.b"}, `{"a":{}}`},
		{`{"a":{}}`, []string{"a.b.c"}, `{}`},
		{`{"a":[null]}`, []string{"a[0].b"}, `{"a":[null]}`},
		{`{"l":[1]}`, []string{"l.a"}, `cannot use "a" to index list at path "l"`},
		{`{"m":{"a":1}}`, []string{"m[0]"}, `cannot use "[0]" to access map at path "m"`},
		{`{"m":{"a":1}}`, []string{"m.a.b"}, `cannot decode databag at path "m.a.b": expected container type but got number`},
		{`{"m":{"a":1}}`, []string{"m.{k}.b"}, `cannot decode databag at path "m.{k}.b": expected container type but got number`},
		// Several paths mean the list as it was.
		{`{"l":[1,2,3]}`, []string{"l[0]", "l[1]"}, `{"l":[3]}`},
		{`{"l":[{"x":1},{"y":2}]}`, []string{"l[0].x", "l[0].y"}, `{"l":[{"y":2}]}`},
		{`{"l":[{"x":1,"y":1},{"x":2}],"m":1}`, []string{"l[{n}].x", "l[0].y", "m"}, `{}`},
		{`{"a":{"b":1,"c":2,"d":3}}`, []string{"a.b", "a.d"}, `{"a":{"c":2}}`},
		{`{"a":1,"l":[1]}`, []string{"a", "l.x"}, `cannot use "x" to index list at path "l"`},
	} {
		var paths []path.Path
		for _, at := range test.at {
			paths = append(paths, pathOf(t, at))
		}
		before := bagOf(t, test.data)
		after, err := before.Unset(paths...)
		check(t, test.data+" less "+cmp.Diff("", test.at), string(after.AppendJSON(nil)), err, test.want)
		if got := string(before.AppendJSON(nil)); got != test.data {
			t.Errorf("%s became %s", test.data, got)
		}
	}
}

func TestEqualAt(t *testing.T) {
	a, b := bagOf(t, `{"l":[{"x":1}],"m":1}`), bagOf(t, `{"l":[{"x":1.0},2],"m":2}`)
	for at, want := range map[string]bool{"l[0].x": true, "l[0]": true, "l[1]": false, "l": false, "m": false, "none.at.all": true, "m.x": true, "Bad": false} {
		if a.Equal(b, at) != want {
			t.Errorf("Equal at %s: want %t", at, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`:    `cannot parse databag: want a JSON object, not array`,
		`null`:   `cannot parse databag: want a JSON object, not null`,
		`{} {}`:  `cannot parse databag: more text behind the value`,
		`{"a":1`: `cannot parse databag: unexpected EOF`,
		`{"a":}`: `cannot parse databag: invalid character '}' looking for beginning of value`,
	} {
		_, err := databag.Parse([]byte(text))
		check(t, text, "accepted", err, want)
	}
}

func TestFromValue(t *testing.T) {
	type level struct {
		MTU int `json:"mtu"`
	}
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, `null`}, {true, `true`}, {1.0, `1`}, {1e20, `100000000000000000000`}, {1e21, `1e+21`}, {1e-7, `1e-7`},
		{json.Number("1.0"), `1.0`}, {int64(math.MaxInt64), `9223372036854775807`}, {level{1500}, `{"mtu":1500}`},
		{"<&>\u2028é", `"\u003c\u0026\u003e\u2028é"`}, {[]any{1.5, []any{}, map[string]any{}}, `[1.5,[],{}]`},
		{map[string]any{"b": 1.0, "a": "x"}, `{"a":"x","b":1}`},
		{math.NaN(), `json: unsupported value: NaN`}, {[]any{math.Inf(1)}, `json: unsupported value: +Inf`},
		{map[string]any{"a": math.Inf(-1)}, `json: unsupported value: -Inf`}, {make(chan int), `json: unsupported type: chan int`},
	} {
		node, err := databag.FromValue(test.value)
		if err != nil {
			check(t, "", "", err, test.want)
			continue
		}
		check(t, test.want, string(node.AppendJSON(nil)), nil, test.want)
	}
}

func TestNodes(t *testing.T) {
	bag := bagOf(t, `{"eth0":{"mtu":1500,"up":true},"l":["a",null]}`)
	root := bag.Root()
	if root.Kind() != databag.Object || !slices.Equal(root.Keys().Names(), []string{"eth0", "l"}) || len(root.Kids()) != 2 {
		t.Errorf("root: %s %q", root.Kind(), root.Keys().Names())
	}
	list := root.Kid("l")
	if list.Kind() != databag.List || list.Kid("a") != nil || list.Kids()[0].Text() != "a" || root.Kid("none") != nil || list.Empty() {
		t.Errorf("list: %s", list.AppendJSON(nil))
	}
	want := map[string]any{"eth0": map[string]any{"mtu": json.Number("1500"), "up": true}, "l": []any{"a", nil}}
	if diff := cmp.Diff(want, bag.Value()); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
	// A filter keeps what it is told to, and the same node where that is all.
	all, err := list.Filter(func(_ string, kid *databag.Node) (*databag.Node, error) { return kid, nil })
	if err != nil || all != list {
		t.Errorf("all: %v %v", all, err)
	}
	some, err := list.Filter(func(_ string, kid *databag.Node) (*databag.Node, error) {
		if kid.Kind() == databag.Null {
			return nil, nil
		}
		return kid, nil
	})
	if err != nil || string(some.AppendJSON(nil)) != `["a"]` {
		t.Errorf("some: %s %v", some.AppendJSON(nil), err)
	}
	none, err := root.Filter(func(string, *databag.Node) (*databag.Node, error) { return nil, nil })
	if none != nil || err != nil {
		t.Errorf("none: %v %v", none, err)
	}
	one, err := root.Filter(func(key string, kid *databag.Node) (*databag.Node, error) {
		if key == "l" {
			return kid, nil
		}
		return nil, nil
	})
	if err != nil || string(databag.FromRoot(one).AppendJSON(nil)) != `{"l":["a",null]}` {
		t.Errorf("one: %v", err)
	}
	stop := errors.New("stop")
	if _, err := root.Filter(func(string, *databag.Node) (*databag.Node, error) { return nil, stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	if got := string(databag.FromRoot(nil).AppendJSON(nil)); got != `{}` {
		t.Errorf("the empty bag is %s", got)
	}
}

// TestLarge: a container that is too large to store its encoding is encoded correctly.
func TestLarge(t *testing.T) {
	values := map[string]any{}
	for i := range 2000 {
		values[fmt.Sprintf("k%04d", i)] = []any{float64(i), "x"}
	}
	node, err := databag.FromValue(map[string]any{"all": values, "list": []any{values}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(map[string]any{"all": values, "list": []any{values}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(databag.FromRoot(node).AppendJSON(nil)); got != string(want) {
		t.Error("a large bag is not encoded as encoding/json does")
	}
}

package view_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
	"aspects-poc/registry/confdb/view"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func network(t *testing.T) *view.View {
	t.Helper()
	storage, err := schema.Parse([]byte(`{"schema": {"links": {"values": "any"}, "peers": {"type": "array", "values": "any"}, "free": "any"}}`))
	if err != nil {
		t.Fatal(err)
	}
	v, err := view.Parse("acme/net/all", "all", decode(t, `{"rules": [
		{"request": "links.eth0.mtu", "storage": "links.eth0.mtu", "access": "write"},
		{"request": "links.{name}", "storage": "links.{name}", "content": [{"request": "speed", "storage": "mbit"}]},
		{"request": "peers[{n}]", "storage": "peers[{n}].key"},
		{"request": "swap.{a}.{b}", "storage": "free.{b}.{a}"},
		{"request": "seen", "storage": "free.seen", "access": "read"}
	]}`), storage)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWrites(t *testing.T) {
	v := network(t)
	if v.ID() != "acme/net/all" {
		t.Errorf("ID: %s", v.ID())
	}
	for _, test := range []struct{ request, value, want string }{
		// The general comes before the specific, which wins; what the value has nothing for is unset.
		{"links.eth0", `{"mtu": 1, "kind": "wire"}`, `links.eth0={"kind":"wire","mtu":1} links.eth0.mbit! links.eth0.mtu=1`},
		{"links", `{"eth0": {"mtu": 1}}`, `links.{name}.mbit! links.eth0={"mtu":1} links.eth0.mtu=1`},
		{"links", `{"eth1": 1, "eth0": {"speed": 2}}`, `expected map for unmatched request parts but got float64`},
		{"links.wlan0", `{"speed": 2}`, `links.wlan0={"speed":2} links.wlan0.mbit=2`},
		{"links.wlan0", `{"speed": null}`, `links.wlan0={"speed":null} links.wlan0.mbit!`},
		// Indexes go by their text.
		{"peers", `[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]`, `peers[0].key=0 peers[10].key=10 peers[1].key=1 peers[2].key=2 peers[3].key=3 ` +
			`peers[4].key=4 peers[5].key=5 peers[6].key=6 peers[7].key=7 peers[8].key=8 peers[9].key=9`},
		{"peers[3]", `"k"`, `peers[3].key="k"`},
		{"swap.x", `{"z": 1, "y": 2}`, `free.y.x=2 free.z.x=1`},
		{"seen", `1`, `no matching rule`},
		{"links.eth0", `null`, `links.eth0.mtu! links.eth0! links.eth0.mbit!`},
		{"", `null`, `links.eth0.mtu! links.{name}! links.{name}.mbit! peers[{n}].key! free.{b}.{a}!`},
		{"seen", `null`, `no matching rule`},
	} {
		var writes []view.Write
		var err error
		if value := decode(t, test.value); value == nil {
			writes, err = v.Unset(test.request)
		} else {
			writes, err = v.Set(test.request, value)
		}
		var got []string
		for _, write := range writes {
			text := write.Storage.String() + "!"
			if write.Value != nil {
				text = write.Storage.String() + "=" + string(write.Value.AppendJSON(nil))
			}
			got = append(got, text)
		}
		if err != nil {
			got = []string{err.(*view.Error).Reason}
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q=%s (-want +got):\n%s", test.request, test.value, diff)
		}
	}
}

func TestAffected(t *testing.T) {
	v := network(t)
	for storage, want := range map[string]bool{
		"links": true, "links.eth7": true, "links.eth7.mbit.x": true, "peers[4]": true, "peers[4].host": false, "free.seen": true, "other": false,
	} {
		parsed, err := path.ParseStorage(storage)
		if err != nil || v.Affected([]path.Path{parsed}) != want {
			t.Errorf("%s: want %t (%v)", storage, want, err)
		}
	}
}

func TestNormal(t *testing.T) {
	type port struct {
		Number int64 `json:"number"`
	}
	for _, test := range []struct {
		value any
		exact bool
		want  any
	}{
		{json.Number("9007199254740993"), false, 9007199254740992.0},
		{json.Number("1.0"), true, json.Number("1.0")},
		{[]any{json.Number("1e3"), nil, true}, false, []any{1000.0, nil, true}},
		{port{5}, true, map[string]any{"number": json.Number("5")}},
		{map[string]any{"a": 7, "b": 0.5}, false, map[string]any{"a": 7.0, "b": 0.5}},
	} {
		got, err := view.Normal(test.value, test.exact)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", test.value, err, diff)
		}
	}
	for _, value := range []any{json.Number("abc"), json.Number("true"), json.Number("1 "), json.Number(" 1"), json.Number("1."), json.Number("Inf"), json.Number("0x1p4"), json.Number(""), "\xff"} {
		if got, err := view.Normal(value, true); err == nil {
			t.Errorf("%v is taken as %v", value, got)
		}
	}
	for _, value := range []any{json.Number("1e400"), make(chan int), []any{json.Number("-1e400")}, map[string]any{"a": math.Inf}} {
		if got, err := view.Normal(value, false); err == nil {
			t.Errorf("%v is taken as %v", value, got)
		}
	}
	// NaN is a float64 like others until it is to be stored.
	if _, err := network(t).Set("peers[0]", math.NaN()); err == nil {
		t.Error("NaN is written")
	}
	if _, err := databag.FromValue(math.NaN()); err == nil {
		t.Error("NaN is stored")
	}
}

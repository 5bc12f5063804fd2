package databag_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/confdb/databag"
)

func TestChanged(t *testing.T) {
	many := func(format string, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(format, i))
		}
		return strings.Join(items, ",")
	}
	for _, c := range []struct {
		name, before, after string
		want                []string
	}{
		{"nothing", `{"a":{"b":[1,{"c":null}]}}`, `{"a":{"b":[1,{"c":null}]}}`, nil},
		{"value", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, []string{"a.c"}},
		{"type", `{"a":{"b":1,"c":"1"}}`, `{"a":{"b":"1","c":{}}}`, []string{"a.b", "a.c"}},
		{"came", `{"a":{"b":1}}`, `{"a":{"b":1,"c":3},"d":{"e":1}}`, []string{"a.c", "d.e"}},
		{"went", `{"a":{"b":1,"c":3},"d":{"e":1}}`, `{"a":{"b":1}}`, []string{"a.c", "d.e"}},
		{"list", `{"a":[1,2],"b":[{"c":1}],"d":[1]}`, `{"a":[2],"b":[{"c":2}],"d":[1]}`, []string{"a", "b"}},
		{"null", `{"a":null,"b":false}`, `{"a":false,"b":false}`, []string{"a"}},
		{"another type", `{"x":1}`, `{"x":{"a":1}}`, []string{"x"}},
		{"another type below", `{"a":{"b":1}}`, `{"a":[1]}`, []string{"a"}},
		{"number", `{"a":1,"b":1e999}`, `{"a":1.0,"b":2e999}`, []string{"a", "b"}},
		{"empty filled", `{"a":{}}`, `{"a":{"b":1}}`, []string{"a.b"}},
		{"empty came", `{}`, `{"x":{}}`, []string{"x"}},
		{"too many came", `{}`, `{"x":{` + many(`"k%d":1`, 65) + `}}`, []string{"x"}},
		{"too many below one key", `{"x":{"z":0,"y":{` + many(`"k%02d":1`, 65) + `}}}`,
			`{"x":{"z":1,"y":{` + many(`"k%02d":2`, 65) + `}}}`, []string{"x.y", "x.z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := bagOf(t, c.before), bagOf(t, c.after)
			if diff := cmp.Diff(c.want, databag.Changed(before, after, 64)); diff != "" {
				t.Errorf("there (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, databag.Changed(after, before, 64)); diff != "" {
				t.Errorf("back (-want +got):\n%s", diff)
			}
			if c.want == nil && !before.Equal(after, "") {
				t.Error("Equal disagrees")
			}
		})
	}
}

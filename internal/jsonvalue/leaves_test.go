package jsonvalue_test

import (
	"testing"

	"aspects-poc/internal/jsonvalue"

	"github.com/google/go-cmp/cmp"
)

func TestLeaves(t *testing.T) {
	marked := func(object any) bool {
		_, is := object.(map[string]any)["$"]
		return is
	}
	empty := func(object any) bool { return jsonvalue.Empty(object) }
	for _, test := range []struct {
		document string
		whole    func(any) bool
		want     string
	}{
		{`null`, nil, `{}`},
		{`{}`, empty, `{}`},
		{`{"a":1,"b":null,"c":[{"d":1}],"e":[]}`, nil, `{"a":1,"b":null,"c":[{"d":1}],"e":[]}`},
		{`{"a":{"b":{"c":9007199254740993}}}`, nil, `{"a.b.c":9007199254740993}`},
		{`{"a":{},"b":{"c":{}}}`, nil, `{}`},
		{`{"a":{},"b":{"c":{}}}`, empty, `{"a":{},"b.c":{}}`},
		{`{"a":{"$":1},"b":{"c":{"$":1,"d":2}}}`, marked, `{"a":{"$":1},"b.c":{"$":1,"d":2}}`},
		{`{"a":{"$":1}}`, nil, `{"a.$":1}`},
		{`{"a.b":{"":1,"\"":2,"c d":3}}`, nil, `{"\"a.b\".\"\"":1,"\"a.b\".\"\\\"\"":2,"\"a.b\".c d":3}`},
	} {
		document, _ := value(t, test.document).(map[string]any)
		if diff := cmp.Diff(value(t, test.want), any(jsonvalue.Leaves(document, test.whole))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.document, diff)
		}
	}
}

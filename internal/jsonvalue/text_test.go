package jsonvalue_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	type shape struct {
		A any `json:"a"`
	}
	for _, test := range []struct {
		text         string
		first, known bool // whether DecodeFirst and DecodeKnown decode it
		whole        string
		want         any // of Decode; nil if it fails
	}{
		{`{"a":9007199254740993}`, true, true, "", json.Number("9007199254740993")},
		{` {"a":1.0} ` + "\n", true, true, "", json.Number("1.0")},
		{`{"a":[1e400]}`, true, true, "", []any{json.Number("1e400")}},
		{`{"a":1,"b":2}`, true, false, "", json.Number("1")},
		{`{"a":1} {}`, true, false, "more text behind the value", nil},
		{`{"a":1}}`, true, false, "more text behind the value", nil},
		{`{"a":1}{}`, true, false, "more text behind the value", nil},
		{`null`, true, true, "", nil},
		{`{"a":1}]`, true, false, "more text behind the value", nil},
		{`{"a":1} x`, true, false, "more text behind the value", nil},
		{`{"a":`, false, false, "unexpected EOF", nil},
		{``, false, false, "EOF", nil},
		{`x`, false, false, "invalid character 'x'", nil},
	} {
		var got, other, strict shape
		err := jsonvalue.Decode([]byte(test.text), &got)
		if test.whole == "" && err != nil || test.whole != "" && (err == nil || !strings.Contains(err.Error(), test.whole)) {
			t.Errorf("%s: %v, want %q", test.text, err, test.whole)
		} else if diff := cmp.Diff(test.want, got.A); test.whole == "" && diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.text, diff)
		}
		if err := jsonvalue.DecodeFirst([]byte(test.text), &other); (err == nil) != test.first {
			t.Errorf("DecodeFirst of %s: %v", test.text, err)
		}
		if err := jsonvalue.DecodeKnown([]byte(test.text), &strict); (err == nil) != test.known {
			t.Errorf("DecodeKnown of %s: %v", test.text, err)
		}
	}
}

func TestEncode(t *testing.T) {
	value := map[string]any{"b": json.Number("9007199254740993"), "a": []any{"<&>", nil}}
	for want, encode := range map[string]func() ([]byte, error){
		`{"a":["<&>",null],"b":9007199254740993}`:                              func() ([]byte, error) { return jsonvalue.Encode(value) },
		`{"a":["<&>",null],"b":9007199254740993}` + "\n":                       func() ([]byte, error) { return jsonvalue.EncodeLines(value, "") },
		"{\n \"a\": [\n  \"<&>\",\n  null\n ],\n \"b\": 9007199254740993\n}\n": func() ([]byte, error) { return jsonvalue.EncodeLines(value, " ") },
		`"a\n"`: func() ([]byte, error) { return jsonvalue.Encode("a\n") },
	} {
		if got, err := encode(); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if text, err := jsonvalue.Encode(func() {}); err == nil || text != nil {
		t.Errorf("a function becomes %q", text)
	}
}

package yamljson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/internal/yamljson"
)

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		"a: {b: 12345678901234567890, c: 1.50}": `{"a":{"b":12345678901234567890,"c":1.50}}`,
		"a: [yes, 0x10, null, 'x']":             `{"a":["yes",16,null,"x"]}`,
		`{"a": "1"}`:                            `{"a":"1"}`,
		"a: 1\na: 2":                            `line 2: "a" stands here twice`,
		"a: &x 1\nb: *x":                        "aliases cannot be used here",
		"a: !!binary eA==":                      "the tag !!binary cannot be used here",
		"<<: {a: 1}":                            "a name is no text",
		"a: .inf":                               "is no number of JSON",
		"---\na: 1\n...\n":                      `{"a":1}`,
		"a: 1\n---\nb: 1\n":                     "line 2: it holds more than one YAML document",
		"a: 1\n---\nb: [":                       "did not find expected node content",
		"a: [":                                  "did not find expected node content",
	} {
		value, empty, err := yamljson.Decode([]byte(text))
		got, _ := json.Marshal(value)
		if err != nil {
			got = []byte(err.Error())
		}
		if empty || !strings.Contains(string(got), want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if _, empty, err := yamljson.Decode([]byte("# nothing\n")); !empty || err != nil {
		t.Error(empty, err)
	}
}

// TestEncode: Decode reads the output of Encode as the same value.
func TestEncode(t *testing.T) {
	for text, want := range map[string]string{
		`{"b":1.50,"a":["x","no"],"e":{}}`: "b: 1.50\na:\n  - x\n  - \"no\"\ne: {}\n",
	} {
		written, err := yamljson.Encode([]byte(text))
		if err != nil || string(written) != want {
			t.Errorf("%s: %q, %v", text, written, err)
		}
		value, _, err := yamljson.Decode(written)
		if again, _ := json.Marshal(value); err != nil || len(again) != len(text) {
			t.Errorf("%s comes back as %s, %v", text, again, err)
		}
	}
}

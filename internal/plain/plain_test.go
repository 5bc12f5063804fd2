package plain_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"aspects-poc/internal/plain"
)

func TestPlain(t *testing.T) {
	for _, test := range []struct{ text, line, text2 string }{
		{"", "", ""},
		{"plain, größer → \"quoted\" \\ é\u0301 🙂", "", ""},
		{"\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\a`, `\x1b[2J\x1b]0;title\a`},
		{"a\tb\nc\r", `a\tb\nc\r`, "a\tb\nc\\r"},
		{"\x7f\u009b31m", `\x7f\u009b31m`, `\x7f\u009b31m`},
		{"\x9b31m\xff", `\x9b31m\xff`, `\x9b31m\xff`},
		{"\u202egpj\u2066\u2028", `\u202egpj\u2066\u2028`, `\u202egpj\u2066\u2028`},
		{"\ufffd stays", "", ""},
	} {
		if test.line == "" {
			test.line, test.text2 = test.text, test.text
		}
		if got := plain.Line(test.text); got != test.line {
			t.Errorf("Line(%q) = %q, want %q", test.text, got, test.line)
		}
		if got := plain.Text(test.text); got != test.text2 {
			t.Errorf("Text(%q) = %q, want %q", test.text, got, test.text2)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, value := range []string{"\x1b[2J\n", "\x7f\u009b\u202e", "größer\u2028"} {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(map[string]any{value: []any{value}}); err != nil {
			t.Fatal(err)
		}
		got := plain.JSON(text.String())
		if strings.ContainsAny(got, "\x1b\x7f\u009b\u202e\u2028") {
			t.Errorf("%q holds control characters", got)
		}
		var again map[string][]string
		if err := json.Unmarshal([]byte(got), &again); err != nil || len(again[value]) != 1 || again[value][0] != value {
			t.Errorf("%q became %q: %v", value, got, err)
		}
	}
}

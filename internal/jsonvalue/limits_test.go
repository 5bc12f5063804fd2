package jsonvalue_test

import (
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"
)

func TestLimits(t *testing.T) {
	limits := jsonvalue.Limits{Depth: 3, Values: 6}
	for text, want := range map[string]string{
		`{"a":{"b":[1]}}`:           "",
		` 1 `:                       "",
		`[]`:                        "",
		`[1,2,3,4,5]`:               "",
		`[1,2,3,4,5,6]`:             "it has more than 6 values",
		`{"a":{"b":[[]]}}`:          "it nests deeper than 3 levels",
		`{"a":{"b":[{`:              "it nests deeper than 3 levels",
		`{"a":1,"a":2}`:             `duplicate object member name "a"`,
		`{"a":{"b":1,"\u0062":2}}`:  `duplicate object member name "b"`,
		`{} {}`:                     "something follows its JSON value",
		`1 2`:                       "something follows its JSON value",
		`{} x`:                      "invalid character 'x'",
		`{"a":"` + "\xff" + `"}`:    "invalid UTF-8",
		`{"a":NaN}`:                 "invalid character 'N'",
		``:                          "EOF",
		` `:                         "EOF",
		`{"a":`:                     "unexpected EOF",
		strings.Repeat("[", 100000): "it nests deeper than 3 levels",
	} {
		switch err := limits.Check([]byte(text)); {
		case want == "" && err != nil:
			t.Errorf("%.40s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.40s: got %v, want %s", text, err, want)
		}
	}
}

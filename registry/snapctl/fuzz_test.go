package snapctl_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/snapctl"
)

// FuzzPairs: snapd parses the same request path and an equal value from the command line of any set, or nothing is sent.
func FuzzPairs(f *testing.F) {
	for _, seed := range [][2]string{
		{"sample-rate", "4"}, {"sample-rate", "4.0"}, {"a", "1e3"}, {"a=b", "1"}, {"a!", "null"}, {"", "{}"}, {"a", "[]"},
		{"a", `"b=c!"`}, {"-t", `"--help"`}, {"config.eth0", `{"x":null,"y":[1.50,9007199254740993]}`}, {"a", "1e400"},
		{"a", "-0"}, {"a", "-0.0"}, {"a", `"\u2028<&>"`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, path, text string) {
		var value any
		if !json.Valid([]byte(text)) || jsonvalue.Decode([]byte(text), &value) != nil {
			return
		}
		pairs, err := snapctl.Pairs(map[string]any{path: value})
		if err != nil {
			if !errors.Is(err, backend.ErrBadRequest) {
				t.Fatalf("error %v, want a bad request", err)
			}
			return
		}
		if len(pairs) != 1 {
			t.Fatalf("pairs %q of one value", pairs)
		}
		key, sent, found := strings.Cut(pairs[0], "=")
		if !found {
			if key != path+"!" || value != nil && text != "" && !empty(value) {
				t.Fatalf("%s=%s sent as %q", path, text, pairs[0])
			}
			return
		}
		if key != path {
			t.Fatalf("%q sent as %q", path, pairs[0])
		}
		var want, got any // numbers as floats, as snapd keeps them
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(sent), &got); err != nil {
			t.Fatalf("%s sent as %s: %v", text, sent, err)
		}
		before, _ := json.Marshal(want)
		after, _ := json.Marshal(got)
		if string(before) != string(after) {
			t.Errorf("%s sent as %s", text, sent)
		}
	})
}

func empty(value any) bool {
	switch value := value.(type) {
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

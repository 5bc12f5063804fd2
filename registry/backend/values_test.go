package backend_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"aspects-poc/registry/backend"

	"github.com/google/go-cmp/cmp"
)

func shapes(t *testing.T, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestStorable(t *testing.T) {
	for _, test := range []struct{ values, want, refused string }{
		{`{"a": 1, "b": "x", "c": null, "d": [1.5, true], "e": {"f": null}}`, "", ""},
		{`{"a": [], "b": {}, "c": [[]]}`, `{"a": null, "b": null, "c": [[]]}`, ""},
		{`{"a": 9007199254740992, "b": -9007199254740992, "c": 1e300, "d": 0.1234567890123456789}`, "", ""},
		{`{"a": 9007199254740993}`, "", `9007199254740993 of "a" would lose digits`},
		{`{"a": 1, "b": {"c": [0, -123456789012345678901]}}`, "", `-123456789012345678901 of "b" would lose digits`},
		{`{"a": 1e999}`, "", `1e999 of "a" would lose digits`},
		{`{}`, "", "there is nothing to write"},
	} {
		values := shapes(t, test.values)
		got, err := backend.Storable(values)
		if test.refused != "" {
			var refusal *backend.Error
			if !errors.Is(err, backend.ErrBadRequest) || !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Reason, test.refused) {
				t.Errorf("%s: %v, want %s", test.values, err, test.refused)
			}
			continue
		}
		want := values
		if test.want != "" {
			want = shapes(t, test.want)
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.values, err, diff)
		}
	}
}

func TestCheckConstraints(t *testing.T) {
	if err := backend.CheckConstraints(shapes(t, `{"a": 1, "b": "x", "c": false}`)); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{"a": 1, "p": null}`: `constraint value must be non-null scalar but parameter "p" has null constraint`,
		`{"p": []}`:           `constraint value must be non-null scalar but parameter "p" has array constraint`,
		`{"p": {}}`:           `constraint value must be non-null scalar but parameter "p" has map constraint`,
	} {
		if err := backend.CheckConstraints(shapes(t, text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Every kind is in Kinds once, and has a text of its own.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range backend.Kinds() {
		if kind.Error() == "" || seen[kind.Error()] {
			t.Errorf("kind %q is empty or there twice", kind)
		}
		seen[kind.Error()] = true
	}
}

func TestErrorText(t *testing.T) {
	view := backend.ViewID{Account: "acc", Schema: "network", View: "observe-tunnel"}
	cause := errors.New("connection refused")
	for _, test := range []struct {
		err  backend.Error
		want string
	}{
		{backend.Error{Op: "get", View: view, Requests: []string{"peers", "x"}, Kind: backend.ErrNoData},
			`cannot get "peers", "x" through acc/network/observe-tunnel: no data`},
		{backend.Error{Op: "get", View: view, Kind: backend.ErrNoData}, `cannot get acc/network/observe-tunnel: no data`},
		{backend.Error{Op: "open", Kind: backend.ErrUnreachable, Err: cause}, `cannot open: unreachable: connection refused`},
		{backend.Error{Op: "set", View: view, Kind: backend.ErrDisabled, Reason: "confdb is off", Remedy: "turn it on"},
			`cannot set acc/network/observe-tunnel: confdb is off (try: turn it on)`},
		{backend.Error{Message: "in snapd's words", Kind: backend.ErrOther, Op: "get"}, `in snapd's words`},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
		if !errors.Is(&test.err, test.err.Kind) || test.err.Err != nil && !errors.Is(&test.err, test.err.Err) {
			t.Errorf("%s: kind or cause is lost", test.want)
		}
	}
}

func TestParseViewID(t *testing.T) {
	defaults := backend.ViewID{Account: "acc", Schema: "network"}
	for text, want := range map[string]string{
		"v": "acc/network/v", "s/v": "acc/s/v", "a/s/v": "a/s/v",
		"": "", "/v": "", "a//v": "", "a/b/c/d": "", "v/": "",
	} {
		got, err := backend.ParseViewID(text, defaults)
		if (want == "") != (err != nil) || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

func TestWriteOp(t *testing.T) {
	for _, test := range []struct {
		values map[string]any
		want   string
	}{
		{nil, "set"},
		{map[string]any{}, "set"},
		{map[string]any{"a": nil}, "unset"},
		{map[string]any{"a": nil, "b": nil}, "unset"},
		{map[string]any{"a": nil, "b": false}, "set"},
	} {
		if got := backend.WriteOp(test.values); got != test.want {
			t.Errorf("%v: %q, want %q", test.values, got, test.want)
		}
	}
}

func TestStorableRefusesWhatIsNotUTF8(t *testing.T) {
	for _, values := range []map[string]any{
		{"a": "b\xff"}, {"a\xff": 1}, {"a": []any{1, "\xff"}}, {"a": map[string]any{"b": map[string]any{"\xff": true}}},
	} {
		storable, err := backend.Storable(values)
		var refused *backend.Error
		if !errors.As(err, &refused) || !errors.Is(err, backend.ErrBadRequest) || !strings.Contains(refused.Reason, "is not UTF-8") {
			t.Errorf("%q: %v, %v", values, storable, err)
		}
	}
}

package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// TestMain also is the other process of tests that need one: see helper.
func TestMain(m *testing.M) {
	if name := os.Getenv("EMBEDDED_TEST_HELPER"); name != "" {
		os.Exit(helper(name))
	}
	os.Exit(m.Run())
}

const (
	account = "acc"
	name    = "lab"
)

// lab is a confdb-schema for tests; revision and storage can be varied.
func lab(revision int, storage string) json.RawMessage {
	if storage == "" {
		storage = `{"schema":{
			"count":"int","note":"string","hidden":"string",
			"scratch":{"type":"string","ephemeral":true},
			"list":{"type":"array","values":"string"},
			"items":{"type":"map","keys":"string","values":{"schema":{"size":"int","label":"string"}}}}}`
	}
	body, _ := json.Marshal(fmt.Sprintf(`{"storage":%s}`, storage))
	return json.RawMessage(fmt.Sprintf(`{
		"type":"confdb-schema","authority-id":%q,"account-id":%q,"name":%q,"revision":"%d",
		"timestamp":"2026-09-01T00:00:00Z",
		"views":{
			"all":{"rules":[
				{"storage":"count"},{"storage":"note"},{"storage":"list"},{"storage":"scratch"},
				{"request":"list-item[{n}]","storage":"list[{n}]","access":"write"},
				{"request":"hidden","storage":"hidden","access":"write"},
				{"request":"items.{id}","storage":"items.{id}","content":[{"storage":"size"},{"storage":"label"}]}]},
			"notes":{"rules":[{"storage":"note"}]},
			"secret":{"rules":[{"request":"hidden","storage":"hidden","access":"write"},{"storage":"note","access":"read"}]},
			"first":{"rules":[{"request":"first","storage":"items.a","access":"read"}]}},
		"body":%s}`, account, account, name, revision, body))
}

func view(name string) backend.ViewID {
	return backend.ViewID{Account: account, Schema: "lab", View: name}
}

var standard = embedded.Options{Documents: []json.RawMessage{lab(1, "")}}

// openFile opens a store and closes it at the end of the test.
func openFile(tb testing.TB, path string, options embedded.Options) *embedded.Backend {
	tb.Helper()
	b, err := embedded.Open(tb.Context(), path, options)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return b
}

func set(tb testing.TB, b *embedded.Backend, values map[string]any) {
	tb.Helper()
	if err := b.Set(tb.Context(), view("all"), values); err != nil {
		tb.Fatalf("set %v: %v", values, err)
	}
}

// document returns what a view shows as JSON; "" for no data.
func document(tb testing.TB, b *embedded.Backend, name string) string {
	tb.Helper()
	values, err := b.Get(tb.Context(), view(name), nil, backend.GetOptions{})
	if errors.Is(err, backend.ErrNoData) {
		return ""
	}
	if err != nil {
		tb.Fatalf("get %s: %v", name, err)
	}
	text, err := json.Marshal(values)
	if err != nil {
		tb.Fatalf("get %s: %v", name, err)
	}
	return string(text)
}

func wantDocument(tb testing.TB, b *embedded.Backend, name, want string) {
	tb.Helper()
	if diff := cmp.Diff(want, document(tb, b, name)); diff != "" {
		tb.Errorf("view %s (-want +got):\n%s", name, diff)
	}
}

// wantError checks an error's kind and some of its text.
func wantError(tb testing.TB, err, kind error, parts ...string) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Fatalf("error %v, want %v", err, kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			tb.Errorf("error %q does not say %q", err, part)
		}
	}
}

// files returns the names in a directory.
func files(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// places runs a test on a file and in memory.
func places(t *testing.T, test func(t *testing.T, b *embedded.Backend)) {
	t.Run("file", func(t *testing.T) {
		test(t, openFile(t, filepath.Join(t.TempDir(), "confdb.json"), standard))
	})
	t.Run("mem", func(t *testing.T) {
		b, err := embedded.OpenMemory(t.Context(), standard)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, b)
	})
}

func TestSetAndGet(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		wantDocument(t, b, "all", "")
		set(t, b, map[string]any{"count": json.Number("3"), "note": "x", "items.a": map[string]any{"size": json.Number("1")}})
		wantDocument(t, b, "all", `{"count":3,"items":{"a":{"size":1}},"note":"x"}`)
		set(t, b, map[string]any{"count": nil, "list": []any{"p", "q"}})
		wantDocument(t, b, "all", `{"items":{"a":{"size":1}},"list":["p","q"],"note":"x"}`)
		got, err := b.Get(t.Context(), view("all"), []string{"items.a.size", "count", "note"}, backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"items.a.size": json.Number("1"), "note": "x"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("get (-want +got):\n%s", diff)
		}
		set(t, b, map[string]any{"scratch": "ephemeral data stays"})
		got, err = b.Get(t.Context(), view("all"), []string{"scratch"}, backend.GetOptions{})
		if err != nil || got["scratch"] != "ephemeral data stays" {
			t.Errorf("ephemeral: %v, %v", got, err)
		}
	})
}

func TestValuesAreCopies(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		list := []any{"p", "q"}
		set(t, b, map[string]any{"list": list})
		list[0] = "changed by the caller"
		got, err := b.Get(t.Context(), view("all"), []string{"list"}, backend.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got["list"].([]any)[1] = "changed by the reader"
		wantDocument(t, b, "all", `{"list":["p","q"]}`)
	})
}

func TestRefusals(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		set(t, b, map[string]any{"count": json.Number("1")})
		for _, c := range []struct {
			name, view string
			values     map[string]any
			kind       error
			message    string
			path       string
		}{
			{name: "nothing", view: "all", kind: backend.ErrBadRequest,
				message: "cannot set acc/lab/all: there is nothing to set"},
			{name: "type", view: "all", values: map[string]any{"note": "kept?", "count": "many"}, kind: backend.ErrInvalid,
				message: `cannot write data: cannot accept element in "count": expected int type but value was string`,
				path:    "count"},
			{name: "no rule", view: "all", values: map[string]any{"other": true}, kind: backend.ErrNoMatch,
				message: `cannot set "other" through acc/lab/all: no matching rule`},
			{name: "read only", view: "first", values: map[string]any{"first": true}, kind: backend.ErrNoMatch,
				message: `cannot set "first" through acc/lab/first: no matching rule`},
			{name: "path", view: "all", values: map[string]any{"A": true}, kind: backend.ErrBadRequest,
				message: `cannot set "A" through confdb view acc/lab/all: invalid subkey "A"`},
			{name: "view", view: "none", values: map[string]any{"a": true}, kind: backend.ErrNoView,
				message: `cannot find view "none" in confdb schema acc/lab`},
		} {
			err := b.Set(t.Context(), view(c.view), c.values)
			wantError(t, err, c.kind)
			var refusal *backend.Error
			if !errors.As(err, &refusal) || err.Error() != c.message || refusal.Path != c.path || refusal.View != view(c.view) {
				t.Errorf("%s: error %+v, want message %q and path %q", c.name, refusal, c.message, c.path)
			}
		}
		wantDocument(t, b, "all", `{"count":1}`)

		_, err := b.Get(t.Context(), view("all"), []string{"note"}, backend.GetOptions{})
		wantError(t, err, backend.ErrNoData, `cannot get "note" through acc/lab/all: no data`)
		_, err = b.Get(t.Context(), view("all"), nil, backend.GetOptions{Constraints: map[string]any{"z": "1"}})
		wantError(t, err, backend.ErrBadRequest, `no placeholder for constraint "z"`)
		unknown := backend.ViewID{Account: account, Schema: "other", View: "all"}
		_, err = b.Get(t.Context(), unknown, nil, backend.GetOptions{})
		wantError(t, err, backend.ErrNoSchema, "acc/other", "acc/lab", "check account and name", "Options.Schemas", "--schema-file")
		_, err = b.Watch(t.Context(), unknown)
		wantError(t, err, backend.ErrNoSchema)
		_, err = b.Watch(t.Context(), view("none"))
		wantError(t, err, backend.ErrNoView)
	})
}

func TestSetAllIsOneTransaction(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		err := b.SetAll(t.Context(), []backend.Change{
			{View: view("notes"), Values: map[string]any{"note": "first"}},
			{View: view("all"), Values: map[string]any{"count": "no number"}},
		})
		wantError(t, err, backend.ErrInvalid)
		var refusal *backend.Error
		if errors.As(err, &refusal) && refusal.View != view("all") {
			t.Errorf("error is about %s", refusal.View)
		}
		wantDocument(t, b, "all", "")
		err = b.SetAll(t.Context(), []backend.Change{
			{View: view("notes"), Values: map[string]any{"note": "first"}},
			{View: view("all"), Values: map[string]any{"count": json.Number("2")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		wantDocument(t, b, "all", `{"count":2,"note":"first"}`)
	})
}

func TestUpdate(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		count := func(current map[string]any) (map[string]any, error) {
			n := json.Number("1")
			if old, ok := current["count"].(json.Number); ok {
				i, _ := old.Int64()
				n = json.Number(fmt.Sprint(i + 1))
			}
			return map[string]any{"count": n}, nil
		}
		for range 3 {
			if err := b.Update(t.Context(), view("all"), []string{"count"}, count); err != nil {
				t.Fatal(err)
			}
		}
		wantDocument(t, b, "all", `{"count":3}`)
		mine := errors.New("mine")
		err := b.Update(t.Context(), view("all"), nil, func(map[string]any) (map[string]any, error) { return nil, mine })
		if err != mine {
			t.Errorf("update = %v, want the error of change itself", err)
		}
		err = b.Update(t.Context(), view("all"), nil, func(map[string]any) (map[string]any, error) {
			return map[string]any{"count": "x"}, nil
		})
		wantError(t, err, backend.ErrInvalid)
		err = b.Update(t.Context(), view("all"), nil, func(current map[string]any) (map[string]any, error) {
			if diff := cmp.Diff(map[string]any{"count": json.Number("3")}, current); diff != "" {
				t.Errorf("whole view (-want +got):\n%s", diff)
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = b.Update(t.Context(), view("all"), nil, func(map[string]any) (map[string]any, error) { panic("at the disco") })
		}()
		set(t, b, map[string]any{"count": json.Number("4")}) // a panic leaves nothing locked
	})
}

func TestClosed(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		events, err := b.Watch(t.Context(), view("all"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
		if _, open := <-events; open {
			t.Error("a watch outlives the backend")
		}
		wantError(t, b.Set(t.Context(), view("all"), map[string]any{"count": 1}), os.ErrClosed, "closed")
		_, err = b.Get(t.Context(), view("all"), nil, backend.GetOptions{})
		wantError(t, err, os.ErrClosed)
		_, err = b.Watch(t.Context(), view("all"))
		wantError(t, err, os.ErrClosed)
		_, err = b.Status(t.Context())
		wantError(t, err, os.ErrClosed)
	})
}

func TestEndedContexts(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, b.Set(ctx, view("all"), map[string]any{"count": json.Number("1")}), context.Canceled)
		_, err := b.Get(ctx, view("all"), nil, backend.GetOptions{})
		wantError(t, err, context.Canceled)
		_, err = b.Watch(ctx, view("all"))
		wantError(t, err, context.Canceled)
		// A context that ends while change runs: nothing is written.
		ctx, cancel = context.WithCancel(t.Context())
		err = b.Update(ctx, view("all"), nil, func(map[string]any) (map[string]any, error) {
			cancel()
			return map[string]any{"count": json.Number("1")}, nil
		})
		wantError(t, err, context.Canceled)
		wantDocument(t, b, "all", "")
	})
}

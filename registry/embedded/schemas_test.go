package embedded_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

func documents(documents ...json.RawMessage) embedded.Options {
	return embedded.Options{Documents: documents}
}

// narrow is a storage that the data of other tests do not fit.
const narrow = `{"schema":{"count":{"type":"int","max":5},"note":"string","hidden":"string","scratch":"string",` +
	`"list":{"type":"array","values":"string"},` +
	`"items":{"type":"map","keys":"string","values":{"schema":{"size":"int","label":"string"}}}}}`

func TestSchemasAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	set(t, openFile(t, path, documents(lab(2, ""))), map[string]any{"count": number(9)})

	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]embedded.Options{
		"none":                     {},
		"the same":                 documents(lab(2, "")),
		"an earlier one":           documents(lab(1, narrow)),
		"the same, laid out anew":  documents(json.RawMessage(strings.ReplaceAll(string(lab(2, "")), "\t", ""))),
		"the same at another time": documents(json.RawMessage(strings.Replace(string(lab(2, "")), "2026-09", "2027-01", 1))),
	} {
		wantDocument(t, openFile(t, path, options), "all", `{"count":9}`)
		if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the file was written", name)
		}
	}
	set(t, openFile(t, path, documents(lab(1, narrow))), map[string]any{"count": number(10)}) // as revision 2 lets

	b := openFile(t, path, documents(lab(3, narrow)))
	wantDocument(t, b, "all", `{"count":10}`)
	wantDocument(t, reopened(t, path), "all", `{"count":10}`)
	wantError(t, b.Set(t.Context(), view("all"), map[string]any{"count": number(9)}), backend.ErrInvalid)
	// It is in force at once, and stored with the first data.
	set(t, b, map[string]any{"count": number(3)})
	again := reopened(t, path)
	wantError(t, again.Set(t.Context(), view("all"), map[string]any{"count": number(9)}), backend.ErrInvalid)
}

func TestSchemasRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	set(t, openFile(t, path, documents(lab(2, ""))), map[string]any{"count": number(1)})
	for _, c := range []struct {
		name      string
		documents []json.RawMessage
		want      string
	}{
		{"same revision, other storage", []json.RawMessage{lab(2, narrow)},
			"confdb-schema acc/lab is stored with the same revision 2 and other views or storage (try: raise its revision to 3)"},
		{"no JSON", []json.RawMessage{json.RawMessage("{")}, "is no JSON"},
		{"no schema", []json.RawMessage{json.RawMessage("{}")}, "cannot be used"},
		{"bad storage", []json.RawMessage{lab(3, `{"schema":{"a":"nothing"}}`)}, `cannot parse unknown type "nothing"`},
		{"twice", []json.RawMessage{lab(3, ""), lab(4, "")}, "acc/lab is given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := embedded.Open(t.Context(), path, documents(c.documents...))
			wantError(t, err, backend.ErrBadRequest, c.want)
		})
	}
}

// Like snapd, the store accepts a later revision that the data does not fit. Unlike snapd, Status warns about it.
func TestSchemaThatTheDataDoNotFit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	set(t, openFile(t, path, standard), map[string]any{"count": number(9)})
	b := openFile(t, path, documents(lab(2, narrow)))
	status, err := b.Status(t.Context())
	if err != nil || len(status.Warnings) != 1 ||
		!strings.Contains(status.Warnings[0], `stored data of acc/lab does not fit its confdb-schema (revision 2)`) ||
		!strings.Contains(status.Warnings[0], `"count": 9 is greater than the allowed maximum 5`) {
		t.Fatalf("status %+v, %v", status, err)
	}
	wantDocument(t, b, "all", `{"count":9}`)
	wantError(t, b.Set(t.Context(), view("all"), map[string]any{"note": "x"}), backend.ErrInvalid)
	set(t, b, map[string]any{"count": number(5)})
	if status, err = b.Status(t.Context()); err != nil || len(status.Warnings) != 0 {
		t.Errorf("after it was mended: status %+v, %v", status, err)
	}
}

func TestSeveralSchemas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	second := json.RawMessage(strings.Replace(string(lab(1, "")), `"name":"lab"`, `"name":"shed"`, 1))
	b := openFile(t, path, documents(lab(1, ""), second))
	shed := backend.ViewID{Account: account, Schema: "shed", View: "all"}
	events, err := b.Watch(t.Context(), shed)
	if err != nil {
		t.Fatal(err)
	}
	set(t, b, map[string]any{"note": "of the lab"}) // 1
	err = b.SetAll(t.Context(), []backend.Change{
		{View: view("all"), Values: map[string]any{"count": number(1)}},
		{View: shed, Values: map[string]any{"count": number(2)}},
	}) // 2
	if err != nil {
		t.Fatal(err)
	}
	wantRevisions(t, events, 2)
	wantDocument(t, b, "all", `{"count":1,"note":"of the lab"}`)
	// One that is wrong spoils both.
	err = b.SetAll(t.Context(), []backend.Change{
		{View: view("all"), Values: map[string]any{"count": number(7)}},
		{View: shed, Values: map[string]any{"count": "x"}},
	})
	wantError(t, err, backend.ErrInvalid)
	wantDocument(t, reopened(t, path), "all", `{"count":1,"note":"of the lab"}`)
}

func TestDefaultPath(t *testing.T) {
	for _, c := range []struct{ state, home, want string }{
		{"/s", "/h", "/s/aspects-poc/confdb.json"},
		{"", "/h", "/h/.local/state/aspects-poc/confdb.json"},
		{"relative", "/h", "/h/.local/state/aspects-poc/confdb.json"},
		{"", "", ""},
		{"", "relative", ""},
	} {
		got, err := embedded.DefaultPath(func(name string) string {
			return map[string]string{"XDG_STATE_HOME": c.state, "HOME": c.home}[name]
		})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("state %q, home %q: %q, %v; want %q", c.state, c.home, got, err, c.want)
		}
	}
}

// Two names of one file are one store, and a link stays a link.
func TestLinkedFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "deep", "confdb.json"), filepath.Join(dir, "link.json")
	b := openFile(t, path, standard)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	linked := openFile(t, link, standard)
	set(t, linked, map[string]any{"count": number(1)})
	wantDocument(t, b, "all", `{"count":1}`)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("link: %v, %v", info, err)
	}
	if n := embedded.OpenStores(); n != 1 {
		t.Errorf("%d stores", n)
	}
}

// A link to a file that is still to be made leads to that file, and stays a link.
func TestLinkToNothing(t *testing.T) {
	dir := t.TempDir()
	path, link, first := filepath.Join(dir, "deep", "confdb.json"), filepath.Join(dir, "link.json"), filepath.Join(dir, "a")
	for name, target := range map[string]string{link: filepath.Join("deep", "confdb.json"), first: link} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	linked := openFile(t, first, standard)
	set(t, linked, map[string]any{"count": number(1)})
	wantDocument(t, openFile(t, path, standard), "all", `{"count":1}`)
	for _, name := range []string{link, first} {
		if info, err := os.Lstat(name); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if n := embedded.OpenStores(); n != 1 {
		t.Errorf("%d stores", n)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if b, err := embedded.Open(t.Context(), loop, standard); err == nil || !strings.Contains(err.Error(), loop) {
		t.Errorf("a link to itself: %v, %v", b, err)
	}
}

// A set refuses whole numbers that a 64-bit float cannot hold.
func TestNumbersThatWouldChange(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		for _, text := range []json.Number{"9007199254740993", "-123456789012345678901", "1e400"} {
			err := b.Set(t.Context(), view("all"), map[string]any{"items.a": map[string]any{"size": text}})
			wantError(t, err, backend.ErrBadRequest, text.String()+` of "items.a" would lose digits`, "write it as a string")
		}
		set(t, b, map[string]any{"count": json.Number("9007199254740992")})
		wantDocument(t, b, "all", `{"count":9007199254740992}`)
	})
}

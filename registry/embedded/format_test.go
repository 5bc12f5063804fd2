package embedded_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// stored returns the content of a file after some commits, and its path.
func stored(t *testing.T) ([]byte, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "confdb.json")
	b, err := embedded.Open(t.Context(), path, standard)
	if err != nil {
		t.Fatal(err)
	}
	set(t, b, map[string]any{"count": json.Number("0")})
	set(t, b, map[string]any{"count": json.Number("1")})
	set(t, b, map[string]any{"note": "äöü </script>", "list": []any{"p", "q"}})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text, path
}

func TestFormat(t *testing.T) {
	text, path := stored(t)
	header, content, _ := bytes.Cut(text, []byte("\n"))
	if !bytes.HasPrefix(header, fmt.Appendf(nil, "aspects-poc-confdb 1 %012d ", len(content))) {
		t.Errorf("header %q of %d bytes", header, len(content))
	}
	var body struct {
		Revision int
		Databags map[string]any
		Changes  []any
	}
	if err := json.Unmarshal(content, &body); err != nil || body.Revision != 3 || len(body.Changes) != 3 {
		t.Errorf("body %+v, %v", body, err)
	}
	again, err := embedded.Recode(text)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("written again: %v\n%s\n%s", err, again, text)
	}
	for _, file := range []string{path, path + ".previous", path + ".lock"} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
}

// A truncated file, or one with another byte, is always an error.
func TestDamageIsFound(t *testing.T) {
	text, _ := stored(t)
	for n := range text {
		if _, err := embedded.Recode(text[:n]); err == nil {
			t.Fatalf("cut off at %d: no error", n)
		}
		altered := bytes.Clone(text)
		altered[n] ^= 0x20
		if _, err := embedded.Recode(altered); err == nil {
			t.Fatalf("byte %d altered: no error", n)
		}
	}
	if _, err := embedded.Recode(append(bytes.Clone(text), '\n')); err == nil {
		t.Error("longer: no error")
	}
}

func TestDamagedFiles(t *testing.T) {
	text, _ := stored(t)
	for _, c := range []struct {
		name     string
		content  []byte // nil: no file
		previous []byte // nil: no file
		want     string // PATH stands for the path
	}{
		{"empty, previous whole", []byte{}, text, "PATH is damaged: it is empty; PATH.previous holds the state before, " +
			"revision 3 of"},
		{"empty, previous whole: way out", []byte{}, text, "(try: cp PATH.previous PATH)"},
		{"cut off", text[:100], text, fmt.Sprintf("PATH is damaged: it is cut off: 100 of %d bytes are there; ", len(text))},
		{"cut off in its header", text[:20], text, "PATH is damaged: it is cut off: 20 bytes are there; "},
		{"zeros, as after a power cut", make([]byte, len(text)), text, `PATH is damaged: it does not begin with "asp`},
		{"missing, previous whole", nil, text, "PATH is missing, though it was written before; PATH.previous holds"},
		{"missing, previous whole: way out", nil, text, "(try: cp PATH.previous PATH)"},
		{"missing, previous damaged", nil, text[:30], "to begin without data: rm PATH.previous)"},
		{"longer", append(bytes.Clone(text), 'x'), text, fmt.Sprintf("it is too long: %d bytes instead of %d", len(text)+1,
			len(text))},
		{"no previous", text[:100], nil, "(try: restore it from a backup, or to begin without data: mv PATH PATH.damaged)"},
		{"both damaged", text[:100], text[:99], "PATH.previous cannot be used either: it is cut off: 99 of"},
		{"other program's", []byte("{}\n"), nil, `PATH is damaged: it does not begin with "aspects-poc-confdb"`},
		{"no JSON", embedded.Frame([]byte("[")), nil, "its content cannot be read: "},
		{"two JSON values", embedded.Frame([]byte("{}{}")), nil, "more text follows its content"},
		{"databag no object", embedded.Frame([]byte(`{"databags":{"a/b":[]}}`)), nil, `its databag "a/b" cannot be read`},
		{"later format", []byte("aspects-poc-confdb 2 whatever is in there\n"), text, "PATH cannot be read: it has format 2, " +
			"and this program knows format 1 (try: use the version of this program that wrote it)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "confdb.json")
			put(t, path, c.content)
			put(t, path+".previous", c.previous)
			_, err := embedded.Open(t.Context(), path, standard)
			wantError(t, err, backend.ErrCorrupt, strings.ReplaceAll(c.want, "PATH", path))
			for name, content := range map[string][]byte{path: c.content, path + ".previous": c.previous} {
				if left, _ := os.ReadFile(name); !bytes.Equal(left, content) {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if content == nil {
		return
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that is damaged or removed while it is in use is reported. The state in memory stays.
func TestDamageInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	set(t, b, map[string]any{"count": json.Number("1")})
	set(t, b, map[string]any{"count": json.Number("2")})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, whole[:50])
	_, err = b.Get(t.Context(), view("all"), nil, backend.GetOptions{})
	wantError(t, err, backend.ErrCorrupt, "cut off")
	wantError(t, b.Set(t.Context(), view("all"), map[string]any{"count": json.Number("3")}), backend.ErrCorrupt)
	status, err := b.Status(t.Context())
	if err != nil || len(status.Warnings) != 1 || !strings.Contains(status.Warnings[0], "cut off") {
		t.Errorf("status %+v, %v", status, err)
	}

	// The way out that the error names.
	previous, err := os.ReadFile(path + ".previous")
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, previous)
	wantDocument(t, b, "all", `{"count":1}`)
	set(t, b, map[string]any{"count": json.Number("3")})
	wantDocument(t, b, "all", `{"count":3}`)

	for _, name := range []string{path, path + ".previous"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Get(t.Context(), view("all"), nil, backend.GetOptions{})
	wantError(t, err, backend.ErrCorrupt, path+" was removed while in use")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"revision":1,"schemas":{},"databags":{"a/b":{"c":1.50,"d":[null,{}]}},"changes":[]}`))
	f.Add([]byte(`{"revision":18446744073709551615,"schemas":{"a/b":{"x":"y"}},"databags":{},"changes":[{"revision":1,` +
		`"schema":"a/b","paths":["c"]}]}`))
	f.Add([]byte(`{"databags":{"":{}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := embedded.Recode(content); err == nil && !bytes.HasPrefix(content, []byte("aspects-poc-confdb 1 ")) {
			t.Fatalf("%q was taken for a file", content)
		}
		once, err := embedded.Recode(embedded.Frame(content))
		if err != nil {
			return
		}
		twice, err := embedded.Recode(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q, and that %q, %v", content, once, twice, err)
		}
	})
}

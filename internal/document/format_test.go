package document_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/document"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// Each case is a file and its canonical layout, which Format does not change.
func TestFormat(t *testing.T) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "format.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		is, want := archive.Files[i], archive.Files[i+1]
		got, err := document.Format(is.Name, is.Data)
		if err != nil {
			t.Errorf("%s: %v", is.Name, err)
			continue
		}
		if diff := cmp.Diff(string(want.Data), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", is.Name, diff)
		}
		if again, err := document.Format(want.Name, want.Data); err != nil || !bytes.Equal(again, want.Data) {
			t.Errorf("%s does not stay: %v\n%s", want.Name, err, again)
		}
	}
	for text, want := range map[string]string{
		"":         "empty",
		"views: [": "not YAML",
		"name: x\nviews: {}\n{% if x %}\nstorage: {}\n": "template",
	} {
		if _, err := document.Format("a.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	signed, err := os.ReadFile(filepath.Join("..", "..", "registry", "testdata", "signed.assert"))
	if err == nil {
		if _, err := document.Format("signed.assert", signed); err == nil || !strings.Contains(err.Error(), "signed") {
			t.Errorf("a signed assertion: %v", err)
		}
	}
}

// keeps fails if Format changes the values of a text, or its own output.
func keeps(t *testing.T, name string, text []byte) {
	t.Helper()
	before, err := document.ParseAll(name, text)
	if err != nil {
		return
	}
	formatted, err := document.Format(name, text)
	if err != nil {
		return // it stays as it is, and the error says why
	}
	after, err := document.ParseAll(name, formatted)
	if err != nil || len(after) != len(before) {
		t.Fatalf("%v\n%s\nbecame\n%s", err, text, formatted)
	}
	for i := range before {
		if !document.Same(before[i], after[i], false) {
			t.Errorf("it says something else:\n%s\nbecame\n%s", text, formatted)
		}
	}
	for line := range strings.Lines(string(text)) {
		if comment, found := strings.CutPrefix(strings.TrimSpace(line), "# "); found && before[0].Form == document.YAML && !strings.Contains(string(formatted), strings.TrimSpace(comment)) {
			t.Errorf("the comment %q is lost", comment)
		}
	}
	if again, err := document.Format(name, formatted); err != nil || !bytes.Equal(again, formatted) {
		t.Errorf("it does not stay: %v\n%s\nbecame\n%s", err, formatted, again)
	}
}

// Format changes no value of the repository's confdb-schemas.
func TestFormatKeepsWhatIsSaid(t *testing.T) {
	count := 0
	for _, pattern := range []string{"../kit/lint/testdata/*.txtar", "../../examples/*/*.yaml", "../../roles/network/*.yaml", "../kit/scaffold/template/*.yaml", "../../testdata/script/*.txtar"} {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := []txtar.File{{Name: file, Data: text}}
			if filepath.Ext(file) == ".txtar" {
				parts = txtar.Parse(text).Files
			}
			for _, part := range parts {
				if strings.Contains(string(part.Data), "views:") {
					keeps(t, part.Name, part.Data)
					count++
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d confdb-schemas are there", count)
	}
}

func FuzzFormat(f *testing.F) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "format.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Name, file.Data)
	}
	f.Fuzz(keeps)
}

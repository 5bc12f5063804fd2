package lint_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite what the cases in testdata want")

// TestCases runs testdata/*.txtar: the first file of each is the document, "want" the findings as text without help. Its
// comment may have lines "against FILE", "account ID", "ignore CODE…", "enable CODE…" and "snap FILE…"; with one of "help" it is with help.
func TestCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	seen := map[string]bool{"more": true, "unreadable": true} // which have tests of their own
	for _, file := range files {
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runCase(t, archive)
			for _, code := range regexp.MustCompile(`\[([a-z-]+)\]\n`).FindAllStringSubmatch(got, -1) {
				seen[code[1]] = true
			}
			for i, part := range archive.Files {
				if part.Name != "want" {
					continue
				}
				if *update {
					archive.Files[i].Data = []byte(got)
					if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if diff := cmp.Diff(string(part.Data), got); diff != "" {
					t.Errorf("findings, go test -update rewrites them (-want +got):\n%s", diff)
				}
				return
			}
			t.Error("no file want")
		})
	}
	for _, rule := range lint.Rules() {
		if !seen[rule.Code] {
			t.Errorf("no case finds %s", rule.Code)
		}
	}
}

func runCase(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range archive.Files {
		if part.Name == "want" {
			continue
		}
		name := filepath.Join(dir, part.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if (strings.Contains(part.Name, "hooks/") || bytes.HasPrefix(part.Data, []byte("#!"))) && !strings.HasSuffix(part.Name, "/configure") {
			mode = 0o755
		}
		if err := os.WriteFile(name, part.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	doc := readDocument(t, archive.Files[0].Name)
	var options lint.Options
	help := false
	for line := range strings.Lines(string(archive.Comment)) {
		switch words := strings.Fields(line); {
		case len(words) == 0:
		case words[0] == "against":
			options.Against = readDocument(t, words[1])
		case words[0] == "account":
			options.Account = words[1]
			doc.FillAccount(words[1])
		case words[0] == "help":
			help = true
		case words[0] == "enable":
			options.Enable = words[1:]
		case words[0] == "ignore":
			options.Ignore = words[1:]
		case words[0] == "snap":
			for _, name := range words[1:] {
				snap, err := lint.ReadSnap(name)
				if err != nil {
					t.Fatal(err)
				}
				options.Snaps = append(options.Snaps, snap)
			}
		}
	}
	var text bytes.Buffer
	if err := lint.Write(&text, lint.Text, lint.Check(doc, options), ""); err != nil {
		t.Fatal(err)
	}
	var short strings.Builder
	for line := range strings.Lines(text.String()) {
		if help || !strings.HasPrefix(line, "\t") {
			short.WriteString(line)
		}
	}
	return short.String()
}

func readDocument(t *testing.T, name string) *document.Document {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document.Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

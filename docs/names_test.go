package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every make target that a document names exists.
func TestDocumentsNameTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile("(?m)(?:^|[`$] ?)make ([a-z][a-z-]*)")
	for _, document := range append(documents, filepath.Join("..", "README.md")) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range used.FindAllSubmatch(text, -1) {
			if bytes.HasSuffix(found[1], []byte("-")) && bytes.Contains(makefile, append(found[1], '%')) {
				continue // snapcraft-ROLE and its like
			}
			if !regexp.MustCompile(`(?m)^([a-z% -]* )?`+regexp.QuoteMeta(string(found[1]))+`( [a-z% -]*)?:`).Match(makefile) &&
				!bytes.Contains(makefile, append([]byte(".PHONY: "), found[1]...)) {
				t.Errorf("%s names make %s, which the Makefile has not", document, found[1])
			}
		}
	}
}

// Paths in docs that lead into this project exist.
func TestDocsLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"snaps.md", "publishing.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(link[1]); err != nil {
				t.Errorf("docs/%s: %v", name, err)
			}
		}
	}
}

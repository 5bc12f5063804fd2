package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/home"
)

// Every make target that a document names exists.
func TestDocumentsNameTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile("(?m)(?:^|[`$] ?)make ([a-z][a-z-]*)")
	for _, document := range documents(t) {
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

// Links that lead into this project lead to something, and their anchors to a heading or an anchor there.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`).FindAllStringSubmatch(string(text), -1) {
			to := name
			if link[1] != "" {
				to = filepath.Join(filepath.Dir(name), link[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if link[2] != "" && filepath.Ext(to) == ".md" && !slices.Contains(anchors(t, to), link[2]) {
				t.Errorf("%s: %s has no anchor %s", name, to, link[2])
			}
		}
	}
}

// anchors returns what links into a page can name: its headings, as GitHub makes anchors of them, and the anchors in its text.
func anchors(t *testing.T, page string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	for _, anchor := range regexp.MustCompile(`<a id="([^"]+)">`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, anchor[1])
	}
	return names
}

// The index names every page.
func TestIndex(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range documents(t) {
		folder := []byte("](" + filepath.Dir(page) + "/)")
		if filepath.IsLocal(page) && page != "README.md" && !bytes.Contains(index, []byte("]("+page+")")) && !bytes.Contains(index, folder) {
			t.Errorf("docs/README.md does not name %s", page)
		}
	}
}

// Documents name the project's home as package home does.
func TestHome(t *testing.T) {
	t.Parallel()
	address := regexp.MustCompile(`https://github\.com/[\w.-]+/aspects-poc`)
	action := regexp.MustCompile(`uses: ([\w.-]+/aspects-poc)@`)
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range address.FindAllString(string(text), -1) {
			if found != home.Address {
				t.Errorf("%s: %s is not %s", name, found, home.Address)
			}
		}
		for _, found := range action.FindAllStringSubmatch(string(text), -1) {
			if found[1] != home.Action() {
				t.Errorf("%s: the action is %s, not %s", name, home.Action(), found[1])
			}
		}
	}
}

// Documents name the version that the Makefile names: the next one, which has what they describe.
func TestVersion(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^VERSION +\?= (.+)$`).FindSubmatch(makefile)
	if version == nil {
		t.Fatal("the Makefile has no VERSION")
	}
	named := regexp.MustCompile(`(?:uses: [\w./-]+/aspects-poc@v|rev: v|aspects-poc(?:-[a-z]+)?_|localhost/aspects-poc:|docker-daemon:aspects-poc:)(\d[\d.]*\d)`)
	count := 0
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range named.FindAllStringSubmatch(string(text), -1) {
			count++
			if found[1] != string(version[1]) {
				t.Errorf("%s: %s, and the version is %s", name, found[0], version[1])
			}
		}
	}
	if count == 0 {
		t.Error("no document names a version")
	}
}

// The README can be read in some minutes.
func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines >= 200 {
		t.Errorf("README.md has %d lines, want less than 200", lines)
	}
}

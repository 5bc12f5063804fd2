package docs

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notRun lists the blocks of commands that no test runs, by their document, with the reason that stands above each. A reason
// is something that tests do not have, and never that it is too much work.
var notRun = map[string][]string{
	"../CONTRIBUTING.md": {"it runs the tests"},
	"../README.md": {
		"it runs the tests",
		"it needs a real snapd, root, and an account of the snap store",
	},
	"devkit/serve.md": {"it needs a key of yours in the key ring of snap"},
	"install.md": {
		"it builds into this folder", "it builds into this folder",
		"it needs root, and a release",
		"it needs podman, and a release",
		"it changes the shell that you type into",
	},
	"devkit/publish.md": {
		"it needs a real snapd, and an account of the snap store",
		"it needs an account of the snap store",
		"it needs the key of step 2",
		"it needs a real snapd, root, and the key of step 2",
	},
	"snaps.md": {"it needs a real snapd, root, and an account of the snap store"},
}

// TestEveryCommandIsRun looks at each block of each document: it is a session that a test plays, or commands above which
// stands why no test can run them, or something that nobody types into a shell.
func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	plays := map[string]bool{}
	for _, document := range walkthroughs() {
		plays[document.file] = true
	}
	reason := regexp.MustCompile(`^\*No test runs this: (.+)\.\*$`)
	command := regexp.MustCompile(`^(\$ |sudo |curl |aspects-poc |snap |snapcraft |make |go |podman |docker |psql |\./|export )`)
	prose := []string{"text", "http", "go", "yaml", "json", "mermaid",
		"lua", "elisp", "toml", "javascript"} // settings of editors
	found := map[string][]string{}
	for _, file := range documents(t) {
		if file == "CLI.md" {
			continue // the program's own help, whose examples TestExamplesOfHelp runs
		}
		sessions := 0
		for _, block := range blocksOf(t, file) {
			switch why := reason.FindStringSubmatch(block.above); {
			case block.kind == "console":
				sessions++
				if why != nil {
					t.Errorf("%s line %d: a test runs this", file, block.line)
				}
			case block.kind == "sh" || block.kind == "sql":
				if why == nil {
					t.Errorf("%s line %d: make it a session (console) that a test plays, or say above it why none can: "+
						"*No test runs this: it needs ….*", file, block.line)
					continue
				}
				found[file] = append(found[file], why[1])
			case !slices.Contains(prose, block.kind):
				t.Errorf("%s line %d: what is %q? want console, sh, sql, or %s", file, block.line, block.kind, strings.Join(prose, ", "))
			default:
				for i, line := range block.lines {
					if command.MatchString(line) && block.kind != "yaml" {
						t.Errorf("%s line %d: a command in a block of %s: %s", file, block.line+1+i, block.kind, line)
					}
				}
			}
		}
		if sessions > 0 != plays[file] {
			t.Errorf("%s has %d sessions; a test plays it: %v", file, sessions, plays[file])
		}
	}
	for _, file := range slices.Sorted(maps.Keys(found)) {
		if !slices.Equal(found[file], notRun[file]) {
			t.Errorf("%s says of commands that no test runs %q, and the list has %q", file, found[file], notRun[file])
		}
		for _, why := range found[file] {
			t.Logf("%s: not run, as %s", file, why)
		}
	}
	for file := range notRun {
		if found[file] == nil {
			t.Errorf("%s is in the list, and has no commands that are not run", file)
		}
	}
}

// documents returns all pages that people read, seen from here.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md", "../examples/README.md"}
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

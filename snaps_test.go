package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/registry/network"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// A plug of a snap.yaml.
type plug struct {
	Interface, Account, View, Role string
}

// snapPlugs are all plugs that the snap of a role has, by name.
func snapPlugs(t *testing.T, role string) map[string]plug {
	t.Helper()
	text, err := snapProjects(t)[role].SnapYAML("amd64")
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		Plugs map[string]plug
		Apps  map[string]struct{ Plugs []string }
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	plugs := map[string]plug{}
	for name, plug := range meta.Plugs {
		plugs[name] = plug
	}
	for _, app := range meta.Apps {
		for _, name := range app.Plugs {
			if _, ok := plugs[name]; !ok {
				plugs[name] = plug{Interface: name}
			}
		}
	}
	return plugs
}

// The tables of docs/snaps.md have the plugs and hooks of the recipe, each once, and no others; and the binary answers to
// these hooks.
func TestSnapTables(t *testing.T) {
	t.Parallel()
	var wantPlugs, wantHooks, binaryHooks []string
	for role, project := range snapProjects(t) {
		snap := "aspects-poc-" + role
		for name, plug := range snapPlugs(t, role) {
			if plug.Interface == "confdb" && (plug.Account != network.AccountID || plug.View != network.Name+"/"+name) {
				t.Errorf("%s:%s is a plug of %s/%s", snap, name, plug.Account, plug.View)
			}
			wantPlugs = append(wantPlugs, strings.Join([]string{snap, name, plug.Interface, plug.Role}, " "))
		}
		for _, hook := range project.Hooks() {
			wantHooks = append(wantHooks, snap+" "+hook)
		}
	}
	for line := range strings.Lines(output(t, "hooks")) {
		binaryHooks = append(binaryHooks, "aspects-poc-"+strings.TrimSpace(line))
	}
	plugs := table(t, "Plugs", 4)
	hooks := table(t, "Hooks", 2)
	for _, list := range [][]string{wantPlugs, wantHooks, binaryHooks, plugs, hooks} {
		slices.Sort(list)
	}
	if diff := cmp.Diff(wantPlugs, plugs); diff != "" {
		t.Errorf("plugs (-recipe +docs/snaps.md):\n%s", diff)
	}
	if diff := cmp.Diff(wantHooks, hooks); diff != "" {
		t.Errorf("hooks (-recipe +docs/snaps.md):\n%s", diff)
	}
	if diff := cmp.Diff(wantHooks, binaryHooks); diff != "" {
		t.Errorf("hooks (-recipe +binary):\n%s", diff)
	}
}

// table returns the first columns of the first table below a heading of docs/snaps.md, a text per row.
func table(t *testing.T, heading string, columns int) (rows []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "snaps.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/snaps.md has no heading %s", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, line := range regexp.MustCompile(`(?m)^\| `+"`"+`aspects.*$`).FindAllString(section, -1) {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")[1 : columns+1]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return rows
}

// The options that docs/snaps.md names are those that a configure hook takes: each is a flag of the role's run command.
func TestSnapOptions(t *testing.T) {
	t.Parallel()
	rows := table(t, "Options", 2)
	if len(rows) != len(snapProjects(t)) {
		t.Fatalf("%d rows, want one for each of %d snaps", len(rows), len(snapProjects(t)))
	}
	for _, row := range rows {
		snap, keys, _ := strings.Cut(row, " ")
		role := strings.TrimPrefix(snap, "aspects-poc-")
		help := output(t, role, "run", "--help")
		for _, key := range strings.Split(keys, ", ") {
			if !strings.Contains(help, "--"+key+" ") {
				t.Errorf("%s: run has no flag --%s", snap, key)
			}
		}
	}
}

// Paths in docs that lead into this project exist.
func TestDocsLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"snaps.md", "publishing.md"} {
		text, err := os.ReadFile(filepath.Join("docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join("docs", link[1])); err != nil {
				t.Errorf("docs/%s: %v", name, err)
			}
		}
	}
}

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/program"
	"aspects-poc/packaging/recipe/recipetest"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

// The tables of docs/snaps.md have the plugs and hooks of the recipe, each once, and no others; and the binary answers to
// these hooks.
func TestSnapTables(t *testing.T) {
	t.Parallel()
	dir := program.Dir(t)
	var wantPlugs, wantHooks, binaryHooks []string
	for role, project := range recipetest.Projects(t, "..") {
		snap := "aspects-poc-" + role
		for name, plug := range recipetest.Plugs(t, project) {
			if plug.Interface == "confdb" && (plug.Account != network.AccountID || plug.View != network.Name+"/"+name) {
				t.Errorf("%s:%s is a plug of %s/%s", snap, name, plug.Account, plug.View)
			}
			wantPlugs = append(wantPlugs, strings.Join([]string{snap, name, plug.Interface, plug.Role}, " "))
		}
		for _, hook := range project.Hooks() {
			wantHooks = append(wantHooks, snap+" "+hook)
		}
	}
	for line := range strings.Lines(output(t, dir, "hooks")) {
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
	text, err := os.ReadFile("snaps.md")
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
	dir := program.Dir(t)
	rows := table(t, "Options", 2)
	if snaps := recipetest.Projects(t, ".."); len(rows) != len(snaps) {
		t.Fatalf("%d rows, want one for each of %d snaps", len(rows), len(snaps))
	}
	for _, row := range rows {
		snap, keys, _ := strings.Cut(row, " ")
		role := strings.TrimPrefix(snap, "aspects-poc-")
		help := output(t, dir, role, "run", "--help")
		for _, key := range strings.Split(keys, ", ") {
			if !strings.Contains(help, "--"+key+" ") {
				t.Errorf("%s: run has no flag --%s", snap, key)
			}
		}
	}
}

// output runs the program and returns what it prints.
func output(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "aspects-poc"), args...)
	command.Env = []string{"HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}
	var complaints strings.Builder
	command.Stderr = &complaints
	text, err := command.Output()
	if err != nil {
		t.Fatalf("aspects-poc %q: %v: %s", args, err, complaints.String())
	}
	return string(text)
}

package scaffold_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/home"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/internal/need"
)

const account = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"

// lint has no finding in the project. A script of the main package runs the project's tests.
func TestProjectIsClean(t *testing.T) {
	for name, account := range map[string]string{"a": account, "thermostat": "canonical", "on": account, "null": account, "a1-b2": account,
		strings.Repeat("x", 30): account, "digits": strings.Repeat("1", 32), "float": strings.Repeat("1", 28) + "1e10"} {
		dir := t.TempDir()
		names, err := scaffold.Write(dir, scaffold.Project{Name: name, Account: account})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		formatted(t, name+".yaml", text)
		doc, err := document.Parse(name+".yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		var options lint.Options
		for _, snap := range []string{"custodian", "observer"} {
			read, err := lint.ReadSnap(filepath.Join(dir, snap))
			if err != nil {
				t.Fatal(err)
			}
			if len(read.Hooks) != 1 || !strings.HasPrefix(read.Name, name+"-") {
				t.Errorf("snap %s has the hooks %v", read.Name, read.Hooks)
			}
			options.Snaps = append(options.Snaps, read)
		}
		if found := lint.Check(doc, options); found != nil || doc.Header("account-id") != account {
			t.Errorf("%s: %+v", name, found)
		}
		for _, file := range names {
			written, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(written), "[[.") || strings.Contains(file, "NAME") {
				t.Errorf("%s was not filled in", file)
			}
		}
	}
}

// written returns the text of a file of a project, and checks that scripts, and no other files, can be executed.
func written(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if script := strings.HasPrefix(string(text), "#!"); script != (info.Mode()&0o111 != 0) {
		t.Errorf("%s has the mode %s", name, info.Mode())
	}
	return string(text)
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	names, err := scaffold.Write(dir, scaffold.Project{Name: "thermostat", Account: account, Action: home.Action() + "@v1"})
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, name := range names {
		if text := written(t, dir, name); !strings.HasPrefix(text, "#!") {
			continue
		}
		programs = append(programs, filepath.Join(dir, name))
	}
	if len(programs) != 3 {
		t.Errorf("programs: %q", programs)
	}
	t.Run("shellcheck", func(t *testing.T) {
		if out, err := exec.Command(need.Program(t, "shellcheck"), programs...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	if testing.Short() {
		t.Skip("builds actionlint")
	}
	out, err := exec.Command("go", "tool", "actionlint", "-shellcheck=", "-pyflakes=",
		filepath.Join(dir, ".github", "workflows", "confdb.yml")).CombinedOutput()
	if err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
}

func TestRefusals(t *testing.T) {
	for want, project := range map[string]scaffold.Project{
		`"" is not a name for a confdb-schema`:                                                {Account: account},
		`"Thermo" is not a name for a confdb-schema`:                                          {Name: "Thermo", Account: account},
		`"../up" is not a name for a confdb-schema`:                                           {Name: "../up", Account: account},
		`"a--b" is not a name for a confdb-schema`:                                            {Name: "a--b", Account: account},
		`"me@example.com" is no account ID`:                                                   {Name: "a", Account: "me@example.com"},
		strings.Repeat("y", 31) + `" is too long: a project's name has at most 30 characters`: {Name: strings.Repeat("y", 31), Account: account},
	} {
		dir := filepath.Join(t.TempDir(), "new")
		if _, err := scaffold.Write(dir, project); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was written", want)
		}
	}
}

// Write replaces no file, and removes the files of a project that it cannot finish.
func TestNothingIsReplaced(t *testing.T) {
	dir := t.TempDir()
	project := scaffold.Project{Name: "thermostat", Account: account}
	kept := filepath.Join(dir, "thermostat.yaml")
	if err := os.WriteFile(kept, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := scaffold.Write(dir, project)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "thermostat.yaml") {
		t.Errorf("error %v", err)
	}
	entries, err := os.ReadDir(dir)
	if text, readErr := os.ReadFile(kept); err != nil || readErr != nil || len(entries) != 1 || string(text) != "mine" {
		t.Errorf("the folder has %v, the file %q (%v, %v)", entries, text, err, readErr)
	}

	// A file where a folder is needed is found late.
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tests"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write(dir, project); err == nil {
		t.Error("no error")
	}
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Base(name) != "tests" {
			t.Errorf("%s was left", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := scaffold.Write(t.TempDir(), project)
	if err != nil || !slices.IsSorted(names) {
		t.Errorf("%v, %v", names, err)
	}
}

// The workflow in the documentation is the one that Write writes.
func TestWorkflowIsDocumented(t *testing.T) {
	files, err := scaffold.Project{Name: "thermostat", Account: account, Action: home.Action() + "@main"}.Files()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "devkit", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	workflow := string(files[".github/workflows/confdb.yml"])
	if workflow == "" || !strings.Contains(string(page), "```yaml\n"+workflow+"```\n") {
		t.Errorf("docs/devkit/ci.md has another workflow than\n%s", workflow)
	}
}

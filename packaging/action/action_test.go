// Package action tests what other projects take from this one: the GitHub action, whose script is here, and the hooks
// for pre-commit.
package action

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"

	"go.yaml.in/yaml/v3"
)

// An action is what is read of action.yml.
type action struct {
	Inputs map[string]struct {
		Description string
		Required    bool
		Default     *string
	}
	Runs struct {
		Using string
		Steps []step
	}
}

type step struct {
	Name, Uses, Shell, Run string
	With, Env              map[string]string
	WorkingDirectory       string `yaml:"working-directory"`
}

func readAction(t *testing.T) action {
	t.Helper()
	var read action
	readYAML(t, filepath.Join(root(t), "action.yml"), &read)
	return read
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A runner runs the action's steps as GitHub's does: inputs become expressions, and files lead from step to step.
type runner struct {
	program   string // the folder of ours
	workspace string // what has been checked out
	inputs    map[string]string
	env       []string // such as GITHUB_EVENT_NAME=pull_request
}

// fakeGo stands for go build: it takes the program that the tests have built already, and compiles nothing.
const fakeGo = `#!/bin/sh
set -e
[ "$1 $2" = "build -C" ] && [ -f "$3/go.mod" ] && [ -f "$3/main.go" ] || { echo "go was called with $*" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
[ "$3" = . ] || { echo "which package? $*" >&2; exit 1; }
mkdir -p "$(dirname "$2")"
ln -s PROGRAM "$2"
`

// run returns what the steps have printed, and whether they passed.
func (r runner) run(t *testing.T) (printed string, passed bool) {
	t.Helper()
	read, home := readAction(t), t.TempDir()
	expand := func(text string) string {
		return regexp.MustCompile(`\$\{\{ *([\w.-]+) *\}\}`).ReplaceAllStringFunc(text, func(expression string) string {
			name := strings.Trim(expression, "${} ")
			if name == "github.action_path" {
				return root(t)
			}
			input, isInput := strings.CutPrefix(name, "inputs.")
			declared, known := read.Inputs[input]
			if !isInput || !known {
				t.Fatalf("action.yml takes %s, which is not there", name)
			}
			value, given := r.inputs[input]
			if !given && declared.Default != nil {
				value = *declared.Default
			}
			return value
		})
	}
	for input := range r.inputs {
		if _, known := read.Inputs[input]; !known {
			t.Fatalf("the action has no input %q", input)
		}
	}
	bin := filepath.Join(home, "bin")
	write(t, filepath.Join(bin, "go"), strings.Replace(fakeGo, "PROGRAM", filepath.Join(r.program, "aspects-poc"), 1))
	if err := os.Chmod(filepath.Join(bin, "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range []string{"GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		files[name] = filepath.Join(home, name)
		write(t, files[name], "")
	}
	var out bytes.Buffer
	for i, s := range read.Runs.Steps {
		if s.Run == "" {
			continue // another action: actions/setup-go
		}
		added, err := os.ReadFile(files["GITHUB_PATH"])
		if err != nil {
			t.Fatal(err)
		}
		paths := append(strings.Fields(string(added)), bin, os.Getenv("PATH"))
		script := filepath.Join(home, fmt.Sprintf("step%d.sh", i))
		write(t, script, expand(s.Run))
		if s.Shell != "bash" {
			t.Fatalf("step %q runs in the shell %q", s.Name, s.Shell)
		}
		command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", script)
		command.Dir = filepath.Join(r.workspace, expand(s.WorkingDirectory))
		command.Env = append([]string{"PATH=" + strings.Join(paths, ":"), "HOME=" + home, "CI=true", "GITHUB_ACTIONS=true",
			"RUNNER_TEMP=" + filepath.Join(home, "temp"), "GITHUB_WORKSPACE=" + r.workspace}, r.env...)
		for name, file := range files {
			command.Env = append(command.Env, name+"="+file)
		}
		for name, value := range s.Env {
			command.Env = append(command.Env, name+"="+expand(value))
		}
		command.Stdout, command.Stderr = &out, &out
		err = command.Run()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return out.String(), false
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), true
}

// repository makes a repository with the proxy example in the folder config, and returns its folder.
func repository(t *testing.T) string {
	t.Helper()
	need.Programs(t, "bash", "git")
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join(root(t), "examples", "proxy"))); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "--quiet", "--initial-branch", "main")
	commit(t, dir)
	return dir
}

func commit(t *testing.T, dir string) {
	t.Helper()
	git(t, dir, "add", ".")
	git(t, dir, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a commit")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// replace replaces a text in a file, where it is.
func replace(t *testing.T, file, old, text string) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(before, []byte(old)) {
		t.Fatalf("%s has no %q", file, old)
	}
	write(t, file, strings.ReplaceAll(string(before), old, text))
}

// annotations returns the lines that GitHub takes for annotations.
func annotations(printed string) []string {
	var found []string
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "::") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestAction(t *testing.T) {
	t.Parallel()
	built := program.Dir(t)
	inputs := func(more map[string]string) map[string]string {
		all := map[string]string{"working-directory": "config", "schemas": "proxy.yaml", "snaps": "custodian browser",
			"test-flags": "--schema-file proxy.yaml --snap custodian --snap browser"}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	for _, test := range []struct {
		name    string
		inputs  map[string]string
		change  func(t *testing.T, dir string)
		passes  bool
		printed []string // texts that are printed
		marks   []string // beginnings of the annotations, all of them
	}{
		{name: "good", passes: true, printed: []string{"ok    tests/keep.txtar", "2 passed in", "coverage: "}},
		{name: "patterns", inputs: map[string]string{"schemas": "*.yaml", "tests": "tests/k*.txtar"}, passes: true,
			printed: []string{"1 passed in"}},
		{name: "a type that is none", change: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "proxy.yaml"), "type: array", "type: list")
		}, marks: []string{`::error file=config/proxy.yaml,line=23,col=26,title=storage::cannot parse unknown type "list"`},
			printed: []string{"error: 1 error", "error: cannot use proxy.yaml: "}},
		{name: "a hook for no plug", change: func(t *testing.T, dir string) {
			hooks := filepath.Join(dir, "custodian", "snap", "hooks")
			if err := os.Rename(filepath.Join(hooks, "change-view-proxy-admin"), filepath.Join(hooks, "change-view-proxy-admni")); err != nil {
				t.Fatal(err)
			}
		}, marks: []string{"::warning file=config/custodian/snap/hooks/change-view-proxy-admni,line=1,col=1,title=hook-plug::", "::error file=config/tests/refuse.txtar,line="},
			printed: []string{"1 of 2 scripts failed"}},
		{name: "a test that fails", change: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "tests", "refuse.txtar"), "is no address of a proxy", "is fine")
		}, marks: []string{"::error file=config/tests/refuse.txtar,line=2,col=1,title=registry test::"},
			printed: []string{"ok    tests/keep.txtar", "1 of 2 scripts failed"}},
		{name: "a warning", change: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "proxy.yaml"), "summary: Proxies of the machine", "sumary: Proxies of the machine")
		}, marks: []string{"::warning file=config/proxy.yaml,line=6,col=1,title=unknown-key::"}, printed: []string{"2 passed in"}},
		{name: "a warning that is none", inputs: map[string]string{"strict": "false"}, passes: true, change: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "proxy.yaml"), "summary: Proxies of the machine", "sumary: Proxies of the machine")
		}, marks: []string{"::warning file=config/proxy.yaml,"}},
		{name: "a warning that is meant", inputs: map[string]string{"ignore": "unknown-key"}, passes: true, change: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, "proxy.yaml"), "summary: Proxies of the machine", "sumary: Proxies of the machine")
		}},
		{name: "no schema", inputs: map[string]string{"schemas": "*.json"}, marks: []string{`::error::no confdb-schema matches "*.json"`}},
		{name: "no schema named", inputs: map[string]string{"schemas": ""}, marks: []string{`::error::no confdb-schema matches ""`}},
		{name: "tests that are not there", inputs: map[string]string{"tests": "test"}, printed: []string{"test does not exist"}},
		{name: "tests that match nothing", inputs: map[string]string{"tests": "test*.txtar"},
			marks: []string{`::error::no test script matches "test*.txtar"`}},
		{name: "no tests", passes: true, change: func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "tests")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := repository(t)
			if test.change != nil {
				test.change(t, filepath.Join(dir, "config"))
			}
			printed, passed := runner{program: built, workspace: dir, inputs: inputs(test.inputs), env: []string{"GITHUB_EVENT_NAME=push"}}.run(t)
			check(t, printed, passed, test.passes, test.printed, test.marks)
			report, err := os.ReadFile(filepath.Join(dir, "config", "confdb-tests.xml"))
			if ran := strings.Contains(printed, "scripts failed") || strings.Contains(printed, "passed in"); ran != (err == nil) ||
				ran && !bytes.Contains(report, []byte("<testsuites tests=")) {
				t.Errorf("tests were run: %v; the report: %v\n%s", ran, err, report)
			}
		})
	}
}

func check(t *testing.T, printed string, passed, passes bool, texts, marks []string) {
	t.Helper()
	if passed != passes {
		t.Errorf("it passes: %v, want %v", passed, passes)
	}
	for _, text := range texts {
		if !strings.Contains(printed, text) {
			t.Errorf("it does not print %q", text)
		}
	}
	found := annotations(printed)
	if !slices.EqualFunc(found, marks, strings.HasPrefix) {
		t.Errorf("annotations %q, want %q", found, marks)
	}
	if t.Failed() {
		t.Logf("it printed:\n%s", printed)
	}
}

// What is compared with what is published is the branch that a pull request goes to, or what an input names.
func TestActionFindsBreakingChanges(t *testing.T) {
	t.Parallel()
	built := program.Dir(t)
	gone := []string{"::error file=config/proxy.yaml,line=4,col=11,title=revision-not-raised::",
		`::error file=config/proxy.yaml,line=7,col=1,title=view-removed::view "proxy-state" of the published copy is gone`}
	for _, test := range []struct {
		name    string
		against string // the input
		event   []string
		whole   bool // the clone has all of its history
		change  func(t *testing.T, published string)
		passes  bool
		printed []string
		marks   []string
	}{
		{name: "pull request", event: []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_BASE_REF=main"}, marks: gone},
		{name: "pull request in a whole clone", whole: true, event: []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_BASE_REF=main"},
			marks: gone},
		{name: "the branch has moved on", event: []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_BASE_REF=main"}, passes: true,
			change: func(t *testing.T, published string) {
				replace(t, filepath.Join(published, "config", "proxy.yaml"), "proxy-state:", "other-state:")
				commit(t, published)
			}},
		{name: "the branch cannot be fetched", event: []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_BASE_REF=nosuch"},
			marks: []string{"::error::cannot fetch nosuch"}},
		{name: "push", event: []string{"GITHUB_EVENT_NAME=push", "GITHUB_BASE_REF="}, passes: true},
		{name: "none", against: "none", event: []string{"GITHUB_EVENT_NAME=pull_request", "GITHUB_BASE_REF=main"}, passes: true},
		{name: "a revision", against: "git:HEAD", event: []string{"GITHUB_EVENT_NAME=push"}, marks: gone},
		{name: "a file", against: "before.yaml", event: []string{"GITHUB_EVENT_NAME=push"}, marks: gone},
		{name: "a file that is not there", against: "nosuch.yaml", event: []string{"GITHUB_EVENT_NAME=push"},
			printed: []string{"error: cannot read the published copy: open nosuch.yaml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			published := repository(t)
			// As actions/checkout does it: one commit, unless all of the history is asked for.
			dir := filepath.Join(t.TempDir(), "workspace")
			depth := "--depth=1"
			if test.whole {
				depth = "--no-tags"
			}
			git(t, ".", "clone", "--quiet", depth, "file://"+published, dir)
			config := filepath.Join(dir, "config")
			if err := os.RemoveAll(filepath.Join(config, "tests")); err != nil { // they ask for the view
				t.Fatal(err)
			}
			before, err := os.ReadFile(filepath.Join(config, "proxy.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(config, "before.yaml"), string(before))
			replace(t, filepath.Join(config, "proxy.yaml"), "proxy-state:", "other-state:")
			if test.change != nil {
				test.change(t, published)
			}
			printed, passed := runner{program: built, workspace: dir, env: test.event, inputs: map[string]string{"working-directory": "config",
				"schemas": "proxy.yaml", "against": test.against}}.run(t)
			check(t, printed, passed, test.passes, test.printed, test.marks)
			if _, err := os.Stat(filepath.Join(dir, ".git", "shallow")); test.whole != (err != nil) {
				t.Errorf("the clone had all of its history: %v; now: %v", test.whole, err)
			}
		})
	}
}

// The table of inputs in the documents is that of the action.
func TestInputsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "devkit", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	inputs := readAction(t).Inputs
	for name, input := range inputs {
		switch said, found := documented[name]; {
		case !found:
			t.Errorf("docs/devkit/ci.md does not have the input %s", name)
		case input.Required != (said == "required"):
			t.Errorf("docs/devkit/ci.md says of %s that it is %s", name, said)
		case input.Default != nil && *input.Default != "" && said != "`"+*input.Default+"`":
			t.Errorf("docs/devkit/ci.md says that the default of %s is %s, not %s", name, said, *input.Default)
		}
	}
	if len(documented) != len(inputs) {
		t.Errorf("docs/devkit/ci.md has %d inputs, the action has %d", len(documented), len(inputs))
	}
}

// A hook for pre-commit, as this project declares it or as another one takes it.
type hook struct {
	ID, Entry, Language, Files, Exclude string
	Args                                []string
	AlwaysRun                           bool  `yaml:"always_run"`
	Filenames                           *bool `yaml:"pass_filenames"`
}

// declared returns the hooks of this project.
func declared(t *testing.T) []hook {
	t.Helper()
	var list []hook
	readYAML(t, filepath.Join(root(t), ".pre-commit-hooks.yaml"), &list)
	return list
}

// hooks returns them as the configuration in the documents takes them.
func hooks(t *testing.T) []hook {
	t.Helper()
	declared := declared(t)
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "devkit", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(repos:\n.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/devkit/ci.md has no configuration of pre-commit")
	}
	var taken struct {
		Repos []struct{ Hooks []hook }
	}
	if err := yaml.Unmarshal(block[1], &taken); err != nil {
		t.Fatal(err)
	}
	var list []hook
	for _, use := range taken.Repos[0].Hooks {
		i := slices.IndexFunc(declared, func(h hook) bool { return h.ID == use.ID })
		if i < 0 {
			t.Fatalf("docs/devkit/ci.md takes %s, which is not there", use.ID)
		}
		made := declared[i]
		made.Args = use.Args
		if use.Files != "" {
			made.Files = use.Files
		}
		list = append(list, made)
	}
	return list
}

// run runs a hook for files that have changed, as pre-commit does, or returns an empty command where it would not.
func (h hook) run(t *testing.T, built, dir string, changed ...string) (command, printed string, passed bool) {
	t.Helper()
	files, exclude := regexp.MustCompile(h.Files), regexp.MustCompile(h.Exclude)
	var matching []string
	for _, file := range changed {
		if files.MatchString(file) && (h.Exclude == "" || !exclude.MatchString(file)) {
			matching = append(matching, file)
		}
	}
	if len(matching) == 0 && !h.AlwaysRun {
		return "", "", true
	}
	words := slices.Concat(strings.Fields(h.Entry), h.Args)
	if h.Filenames == nil || *h.Filenames {
		words = append(words, matching...)
	}
	run := exec.CommandContext(t.Context(), filepath.Join(built, words[0]), words[1:]...)
	run.Dir = dir
	out, err := run.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.Join(words, " "), string(out), err == nil
}

// pre-commit gives a hook the names of the files that are committed, behind its arguments.
func TestPreCommitHooks(t *testing.T) {
	t.Parallel()
	built := program.Dir(t)
	const lint = "aspects-poc registry lint --strict custodian browser proxy.yaml"
	const test = "aspects-poc registry test --schema-file proxy.yaml --snap custodian --snap browser"
	for name, c := range map[string]struct {
		changed  []string
		change   func(t *testing.T, dir string)
		commands []string // that fail have a "!" in front
	}{
		"good":   {changed: []string{"proxy.yaml", "custodian/snap/snapcraft.yaml"}, commands: []string{lint, test}},
		"a hook": {changed: []string{"custodian/snap/hooks/change-view-proxy-admin"}, commands: []string{test}},
		"a bad schema": {changed: []string{"proxy.yaml"}, commands: []string{"!" + lint, "!" + test},
			change: func(t *testing.T, dir string) {
				replace(t, filepath.Join(dir, "proxy.yaml"), "type: array", "type: list")
			}},
		"a bad hook": {changed: []string{"custodian/lib/keep.sh"}, commands: []string{"!" + test},
			change: func(t *testing.T, dir string) {
				write(t, filepath.Join(dir, "custodian", "lib", "keep.sh"), "exit 3\n")
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(repository(t), "config")
			if c.change != nil {
				c.change(t, dir)
			}
			var commands []string
			var all strings.Builder
			for _, h := range hooks(t) {
				command, printed, passed := h.run(t, built, dir, c.changed...)
				if !passed {
					command = "!" + command
				}
				if command != "" {
					commands = append(commands, command)
				}
				all.WriteString(printed)
			}
			if !slices.Equal(commands, c.commands) {
				t.Errorf("pre-commit runs %q, want %q\n%s", commands, c.commands, all.String())
			}
		})
	}
}

// Without a pattern of the project's own, confdb-lint looks at what has confdb in its name, and at no workflow.
func TestPreCommitLintsConfdbSchemas(t *testing.T) {
	t.Parallel()
	declared := declared(t)
	lint := declared[slices.IndexFunc(declared, func(h hook) bool { return h.ID == "confdb-lint" })]
	files, exclude := regexp.MustCompile(lint.Files), regexp.MustCompile(lint.Exclude)
	for file, want := range map[string]bool{"confdb-schema.yaml": true, "a/b/network-confdb.json": true, "confdb.yml": true,
		"confdb/custodian/snap/snapcraft.yaml": false, ".github/workflows/confdb.yml": false, "confdb.md": false} {
		if got := files.MatchString(file) && !exclude.MatchString(file); got != want {
			t.Errorf("%s is looked at: %v", file, got)
		}
	}
}

package docs

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

	"aspects-poc/internal/program"

	"go.yaml.in/yaml/v3"
)

// A job is one of the workflow to copy. Steps that use an action are not run: they get the program and the folder.
type job struct {
	If    string
	Steps []struct {
		Name, ID, Uses, Run string
		Env                 map[string]string
	}
}

// A runner runs steps as GitHub does: each in a shell of its own that ends at the first failure, with the expressions replaced, and
// with files for what they put out. gh is a script that keeps what it is told.
type runner struct {
	t       *testing.T
	dir     string
	env     []string
	context map[string]string // expression -> value
	said    bytes.Buffer
}

var expression = regexp.MustCompile(`\$\{\{ *([^ }]+) *\}\}`)

func (r *runner) value(text string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		value, known := r.context[name]
		if !known {
			r.t.Fatalf("the workflow uses %q, which the test does not know", name)
		}
		return value
	})
}

// run runs the steps of a job until one fails, and returns its name.
func (r *runner) run(job job) (failed string) {
	r.t.Helper()
	r.said.Reset()
	for _, step := range job.Steps {
		if step.Run == "" {
			continue
		}
		outputs := filepath.Join(r.t.TempDir(), "outputs")
		if err := os.WriteFile(outputs, nil, 0o600); err != nil {
			r.t.Fatal(err)
		}
		script := filepath.Join(r.t.TempDir(), "step.sh")
		if err := os.WriteFile(script, []byte(r.value(step.Run)), 0o600); err != nil {
			r.t.Fatal(err)
		}
		command := exec.Command("bash", "-e", script)
		command.Dir = r.dir
		command.Env = append(slices.Clone(r.env), "GITHUB_OUTPUT="+outputs, "GITHUB_REPOSITORY=acme/fleet", "GITHUB_ACTIONS=true", "CI=true")
		for name, value := range step.Env {
			command.Env = append(command.Env, name+"="+r.value(value))
		}
		command.Stdout, command.Stderr = &r.said, &r.said
		err := command.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			r.t.Fatal(err)
		}
		text, readErr := os.ReadFile(outputs)
		if readErr != nil {
			r.t.Fatal(readErr)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			r.context["steps."+step.ID+".outputs."+name] = value
		}
		if err != nil {
			if step.Name == "" {
				step.Name = step.Run
			}
			return step.Name
		}
	}
	return ""
}

// TestFleetWorkflow runs the steps of the workflow to copy against a server: the plan becomes a comment, what devices would refuse
// and wrong usage fail, and apply sets the layers.
func TestFleetWorkflow(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("operators/fleet-workflow.yml")
	if err != nil {
		t.Fatal(err)
	}
	var workflow struct{ Jobs map[string]job }
	if err := yaml.Unmarshal(text, &workflow); err != nil {
		t.Fatal(err)
	}
	plan, apply := workflow.Jobs["plan"], workflow.Jobs["apply"]
	if len(plan.Steps) < 4 || len(apply.Steps) < 2 || !strings.Contains(plan.If, "pull_request") || !strings.Contains(apply.If, "push") {
		t.Fatalf("the workflow has jobs %+v", workflow.Jobs)
	}
	shell, as := withServer(t, t.TempDir())
	defer register(t, shell)()
	aspects := func(args ...string) string {
		t.Helper()
		command := exec.Command(filepath.Join(program.Dir(t), "aspects-poc"), args...)
		command.Dir, command.Env = shell.Dir, shell.Env
		said, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return strings.TrimSpace(string(said))
	}
	bin := t.TempDir()
	gh := "#!/bin/sh\nset -e\nprintf '%s\\n' \"$*\" >> gh.log\nfor word; do test \"$last\" = --body-file && cp \"$word\" said.md; last=$word; done\n" +
		"test -n \"$GH_TOKEN\"\n"
	if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(gh), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	dir := filepath.Join(shell.Dir, "checkout")
	write := func(value string) {
		t.Helper()
		err := errors.Join(os.MkdirAll(filepath.Join(dir, "fleet"), 0o755), os.WriteFile(filepath.Join(dir, "fleet", "everyone.yaml"),
			fmt.Appendf(nil, "config:\n  control-telemetry:\n    sample-rate: %s\n", value), 0o600), os.RemoveAll(filepath.Join(dir, "plan.json")))
		if err != nil {
			t.Fatal(err)
		}
	}
	r := &runner{t: t, dir: dir, context: map[string]string{
		"vars.FLEET_URL": "http://" + as[1], "github.token": "t0ken", "github.event.pull_request.number": "7", "github.event_name": "pull_request",
		"secrets.FLEET_PLAN_TOKEN": aspects("server", "token", "create", "plans"), "secrets.FLEET_APPLY_TOKEN": aspects("server", "token", "create", "applies"),
	}}
	for _, variable := range shell.Env {
		if !strings.HasPrefix(variable, "ASPECTS_") && !strings.HasPrefix(variable, "PATH=") {
			r.env = append(r.env, variable)
		}
	}
	r.env = append(r.env, "PATH="+bin+":"+program.Dir(t)+":"+os.Getenv("PATH"))
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	write("4")
	if failed := r.run(plan); failed != "" {
		t.Fatalf("%s fails:\n%s", failed, r.said.String())
	}
	for _, want := range []string{"### Plan of the fleet\n~~~~text\neveryone is created\n", "~ control-telemetry.sample-rate: 2 -> 4", "1 device ("} {
		if !strings.Contains(read("said.md"), want) {
			t.Errorf("the comment has no %q:\n%s", want, read("said.md"))
		}
	}
	if want := "pr comment 7 --repo acme/fleet --body-file comment.md --edit-last --create-if-none\n"; read("gh.log") != want {
		t.Errorf("gh was told %q, want %q", read("gh.log"), want)
	}
	if failed := r.run(apply); failed != "" {
		t.Fatalf("%s fails:\n%s", failed, r.said.String())
	}
	if !strings.Contains(r.said.String(), "applied: revision ") {
		t.Errorf("apply says\n%s", r.said.String())
	}
	if failed := r.run(plan); failed != "" || !strings.Contains(read("said.md"), "Nothing to do") {
		t.Errorf("planned again, %q fails, and the comment is\n%s", failed, read("said.md"))
	}

	const last = "Fail if the folder has a fault, or devices would refuse"
	write("61") // the custodian refuses it
	if failed := r.run(plan); failed != last || !strings.Contains(read("said.md"), "they refuse it: ") {
		t.Errorf("refused, %q fails, and the comment is\n%s", failed, read("said.md"))
	}
	if failed := r.run(apply); failed != "Apply" {
		t.Errorf("of what devices refuse, %q fails", failed)
	}
	write("[")
	if failed := r.run(plan); failed != last || !strings.Contains(read("said.md"), "everyone.yaml:") {
		t.Errorf("faulty, %q fails, and the comment is\n%s", failed, read("said.md"))
	}
	write("5")
	r.context["vars.FLEET_URL"] = "" // nobody has set the variable: wrong usage, whose status is that of changes
	if failed := r.run(plan); failed != last {
		t.Errorf("of wrong usage %q fails:\n%s", failed, r.said.String())
	}
}

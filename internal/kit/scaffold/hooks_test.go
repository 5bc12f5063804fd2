package scaffold_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/keep/keeptest"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/internal/need"

	"github.com/google/go-cmp/cmp"
)

// A hookTask is the input of testdata/hooks.py, and a hookAnswer its output.
type hookTask struct {
	Snap    string         `json:"snap"`
	Common  string         `json:"common"`
	Changes map[string]any `json:"changes"` // by request; nil unsets

	text    string // of the file
	wrapped *scaffold.Wrapped
	want    string // the text afterwards; "" if the hooks refuse
}

type hookAnswer struct {
	Loaded  map[string]any `json:"loaded"`
	Refused string         `json:"refused"`
	Text    string         `json:"text"`
	Back    string         `json:"back"`
}

// TestMain also is snapctl for hooks that run as processes. It answers from files in the folder $SNAPCTL.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "snapctl" {
		if err := snapctl(os.Getenv("SNAPCTL"), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func snapctl(dir string, args []string) error {
	switch args[0] {
	case "get": // -d --view PLUG [--previous]
		name := "staged"
		if slices.Contains(args, "--previous") {
			name = "previous"
		}
		text, err := os.ReadFile(filepath.Join(dir, name+strings.TrimPrefix(args[3], ":a-a")))
		if err != nil {
			return errors.New("cannot get values: no data")
		}
		_, err = os.Stdout.Write(text)
		return err
	case "set": // -t --view PLUG ARGUMENT...
		file, err := os.OpenFile(filepath.Join(dir, "given"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteString(strings.Join(args[4:], "\n") + "\n")
		return errors.Join(err, file.Close())
	case "fail":
		return os.WriteFile(filepath.Join(dir, "refused"), []byte(args[1]), 0o600)
	}
	return fmt.Errorf("unknown command %q", args)
}

// runShell runs the hooks of a task as processes, as snapd does.
func (task hookTask) runShell(t *testing.T) (a hookAnswer) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "snapctl"))
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(hook string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(task.Snap, "snap", "hooks", hook))
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "SNAP=" + task.Snap, "SNAP_COMMON=" + task.Common, "SNAPCTL=" + dir}
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v\n%s\n%s", hook, err, out, task.text)
		}
	}
	text := func() string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(task.Common, task.wrapped.File))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	stage := func(name string, values map[string]any) {
		t.Helper()
		for _, view := range task.wrapped.Views() {
			shown := map[string]any{}
			for _, f := range task.wrapped.Fields {
				if value := values[f.Request]; value != nil && f.Secret == strings.HasSuffix(view, "-secrets-state") {
					at, names := shown, strings.Split(f.Request, ".")
					for _, name := range names[:len(names)-1] {
						below, is := at[name].(map[string]any)
						if !is {
							below = map[string]any{}
							at[name] = below
						}
						at = below
					}
					at[names[len(names)-1]] = value
				}
			}
			document, err := json.MarshalIndent(shown, "", "\t")
			if err == nil && len(shown) > 0 {
				err = os.WriteFile(filepath.Join(dir, name+strings.TrimPrefix(view, "a")), document, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	run("install")
	run("load-view-a-a-state")
	if task.wrapped.Secrets() {
		run("load-view-a-a-secrets-state")
	}
	given, err := os.ReadFile(filepath.Join(dir, "given"))
	if err != nil {
		t.Fatal(err)
	}
	a.Loaded = map[string]any{}
	for line := range strings.Lines(string(given)) {
		request, value, set := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		var decoded any
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber()
		if err := decoder.Decode(&decoded); set && err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		a.Loaded[strings.TrimSuffix(request, "!")] = decoded
	}
	staged := maps.Clone(a.Loaded)
	maps.Copy(staged, task.Changes)
	stage("previous", a.Loaded)
	stage("staged", staged)
	run("change-view-a-a-admin")
	if refused, err := os.ReadFile(filepath.Join(dir, "refused")); err == nil {
		return hookAnswer{Loaded: a.Loaded, Refused: string(refused), Text: text(), Back: text()}
	}
	run("save-view-a-a-admin")
	a.Text = text()
	stage("staged", a.Loaded)
	run("save-view-a-a-admin")
	a.Back = text()
	left, err := filepath.Glob(filepath.Join(task.Common, ".custodian.*")) // ".custodian" stays until the next read
	if err != nil || len(left) > 0 {
		t.Fatal("the hooks leave ", left, err)
	}
	return a
}

// TestShellHooksOnRandomFiles is TestHooksOnRandomFiles for hooks in shell.
func TestShellHooksOnRandomFiles(t *testing.T) {
	need.Program(t, "awk")
	done := 0
	for seed := range uint64(60) {
		task, ok := newHookTask(t, keep.INI, "shell", seed)
		if !ok {
			continue
		}
		done++
		task.check(t, task.runShell(t))
	}
	if done < 40 {
		t.Fatalf("only %d files have values", done)
	}
}

// For random files: the hooks of the project around the file show its values; a write of random values leaves a file as keep
// makes it, whose tests compare it with other parsers; and what fails behind the hooks leaves the file as it was.
func TestHooksOnRandomFiles(t *testing.T) {
	python := need.Program(t, "python3")
	for _, format := range []keep.Format{keep.YAML, keep.JSON, keep.INI, keep.TOML} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			var in bytes.Buffer
			var tasks []hookTask
			for seed := range uint64(60) {
				task, ok := newHookTask(t, format, "python", seed)
				if !ok {
					continue
				}
				text, err := json.Marshal(task)
				if err != nil {
					t.Fatal(err)
				}
				in.Write(append(text, '\n'))
				tasks = append(tasks, task)
			}
			if len(tasks) < 40 {
				t.Fatalf("only %d files have values", len(tasks))
			}
			cmd := exec.Command(python, filepath.Join("testdata", "hooks.py"))
			var stderr bytes.Buffer
			cmd.Stdin, cmd.Stderr = &in, &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			decoder := json.NewDecoder(bytes.NewReader(out))
			decoder.UseNumber()
			for i, task := range tasks {
				var a hookAnswer
				if err := decoder.Decode(&a); err != nil {
					t.Fatalf("%d: %v", i, err)
				}
				task.check(t, a)
			}
		})
	}
}

// newHookTask writes a project around a random file, and returns a task with random changes.
func newHookTask(t *testing.T, format keep.Format, hooks string, seed uint64) (task hookTask, ok bool) {
	t.Helper()
	text := keeptest.Text(format, seed)
	w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a." + string(format), Text: text, Mode: 0o640}, hooks)
	if err != nil {
		t.Logf("seed %d: %v", seed, err) // no values, or a secret that cannot be taken out
		return task, false
	}
	dir := t.TempDir()
	if _, err := scaffold.Write(dir, w); err != nil {
		t.Fatal(err)
	}
	task = hookTask{Snap: filepath.Join(dir, "custodian"), Common: filepath.Join(dir, "common"), Changes: map[string]any{}, wrapped: w}
	kept, err := os.ReadFile(filepath.Join(task.Snap, "default", "a."+string(format)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(task.Common, 0o755); err != nil {
		t.Fatal(err)
	}
	task.text = string(kept)
	doc, err := keep.Parse(format, task.text)
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]any{}
	for _, c := range keeptest.Changes(format, task.text, doc, seed) {
		byPath[keep.Dotted(c.Path)] = c.Value // the last one counts
	}
	var changes []keep.Change
	for _, f := range w.Fields {
		value, is := byPath[keep.Dotted(f.Entry.Path)]
		e := doc.Find(f.Entry.Path)
		if !is || e == nil || keep.Equal(value, e.Value) {
			continue
		}
		if list, isList := e.Value.([]any); isList && len(list) == 0 && value == nil {
			continue // the views show no data for both
		}
		task.Changes[f.Request] = value
		changes = append(changes, keep.Change{Path: f.Entry.Path, Value: value, Like: f.Like})
	}
	if task.want, err = keep.Edit(format, task.text, changes); err != nil {
		task.want = ""
	}
	return task, true
}

func (task hookTask) check(t *testing.T, a hookAnswer) {
	t.Helper()
	doc, err := keep.Parse(task.wrapped.Format, task.text)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{}
	for _, f := range task.wrapped.Fields {
		want[f.Request] = nil
		if e := doc.Find(f.Entry.Path); e != nil {
			if list, is := e.Value.([]any); !is || len(list) > 0 {
				want[f.Request] = e.Value
			}
		}
	}
	if diff := cmp.Diff(want, a.Loaded, cmp.Comparer(func(a, b json.Number) bool { return keep.Equal(a, b) })); diff != "" {
		t.Fatalf("(-want +shown)\n%s\n%s", diff, task.text)
	}
	switch {
	case task.want == "" && a.Refused == "":
		t.Fatalf("the hooks do not refuse %v in\n%s", task.Changes, task.text)
	case task.want == "" && a.Text != task.text:
		t.Fatalf("a refused write changes the file\n%s", cmp.Diff(task.text, a.Text))
	case task.want != "" && a.Text != task.want:
		t.Fatalf("%v (refused: %q)\n%s", task.Changes, a.Refused, cmp.Diff(task.want, a.Text))
	case a.Back != task.text:
		t.Fatalf("what fails does not come back\n%s", cmp.Diff(task.text, a.Back))
	}
}

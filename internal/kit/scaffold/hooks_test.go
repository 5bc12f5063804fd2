package scaffold_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/keep/keeptest"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/internal/need"

	"github.com/google/go-cmp/cmp"
)

// A hookTask is what testdata/hooks.py reads, and a hookAnswer what it prints.
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
				task, ok := newHookTask(t, format, seed)
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

// newHookTask writes a project around a random file, and makes random changes.
func newHookTask(t *testing.T, format keep.Format, seed uint64) (task hookTask, ok bool) {
	t.Helper()
	text := keeptest.Text(format, seed)
	w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a." + string(format), Text: text, Mode: 0o640}, "python")
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

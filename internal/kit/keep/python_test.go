package keep_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/keep/keeptest"
	"aspects-poc/internal/need"

	"github.com/google/go-cmp/cmp"
)

// A task is what testdata/drive.py reads, and an answer what it prints.
type task struct {
	Format  keep.Format   `json:"format"`
	Text    string        `json:"text"`
	Changes []keep.Change `json:"changes"`
}

type answer struct {
	Entries [][]any             `json:"entries"`
	Text    string              `json:"text"`
	Error   string              `json:"error"`
	INI     []map[string]config `json:"ini"`
}

type config map[string]string

func drive(t *testing.T, tasks []task) []answer {
	t.Helper()
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, task := range tasks {
		if err := encoder.Encode(task); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(need.Program(t, "python3"), filepath.Join("testdata", "drive.py"), filepath.Join("..", "scaffold", "wrap", "python", "custodian", "lib"))
	cmd.Stdin = &in
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []answer
	decoder := json.NewDecoder(bytes.NewReader(out))
	for decoder.More() {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(tasks) {
		t.Fatalf("%d answers to %d tasks", len(answers), len(tasks))
	}
	return answers
}

// The program in Python, which "registry new" writes into snaps, reads and writes the same as the one in Go; and configparser
// of Python reads what it should in INI files.
func TestPythonIsTheSame(t *testing.T) {
	for _, format := range []keep.Format{keep.YAML, keep.JSON, keep.INI, keep.TOML} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			var tasks []task
			var docs []*keep.Document
			for seed := range rounds() {
				text := keeptest.Text(format, seed)
				doc, err := keep.Parse(format, text)
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, text)
				}
				docs = append(docs, doc)
				tasks = append(tasks, task{format, text, keeptest.Changes(format, text, doc, seed)})
			}
			for seed, a := range drive(t, tasks) {
				task := tasks[seed]
				var want [][]any
				for _, e := range docs[seed].Entries {
					want = append(want, []any{e.Path, e.Kind, e.Element, e.Value, e.Line})
				}
				if diff := cmp.Diff(normal(t, want), normal(t, a.Entries)); diff != "" && len(want)+len(a.Entries) > 0 {
					t.Fatalf("seed %d reads (-go +python)\n%s\n%s", seed, diff, task.Text)
				}
				text, err := keep.Edit(format, task.Text, task.Changes)
				if (err == nil) != (a.Error == "") {
					t.Fatalf("seed %d: Go says %v, Python %q\n%s\n%v", seed, err, a.Error, task.Text, task.Changes)
				}
				if err == nil && text != a.Text {
					t.Fatalf("seed %d writes (-go +python)\n%s\nfrom\n%s\nby %v", seed, cmp.Diff(text, a.Text), task.Text, task.Changes)
				}
				if format == keep.INI {
					checkINI(t, seed, docs[seed], task, a)
				}
			}
		})
	}
}

// checkINI compares with what configparser reads.
func checkINI(t *testing.T, seed int, doc *keep.Document, task task, a answer) {
	t.Helper()
	want := map[string]config{}
	at := func(path []string) (config, string) {
		section := "first line"
		if len(path) > 1 {
			section = path[0]
		}
		if want[section] == nil {
			want[section] = config{}
		}
		return want[section], path[len(path)-1]
	}
	for _, e := range doc.Entries {
		values, key := at(e.Path)
		values[key] = iniText(e.Value)
	}
	for i, now := range a.INI {
		if i == 1 && a.Error == "" {
			for _, c := range task.Changes {
				values, key := at(c.Path)
				if delete(values, key); c.Value != nil {
					values[key] = iniText(c.Value)
				}
			}
		}
		got := map[string]config{}
		for section, values := range now {
			got[section] = config{}
			for key, text := range values {
				if n := len(text); n > 1 && strings.Contains(`"'`, text[:1]) && text[n-1] == text[0] {
					text = text[1 : n-1]
				}
				if b, is := map[string]string{"yes": "true", "on": "true", "True": "true", "no": "false", "off": "false", "False": "false"}[text]; is {
					text = b
				}
				got[section][key] = text
			}
		}
		for section := range got {
			if want[section] == nil {
				want[section] = config{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d, configparser (%d): (-want +got)\n%s\n%s\n%s", seed, i, diff, task.Text, a.Text)
		}
	}
	for _, comment := range commentWords.FindAllString(task.Text, -1) {
		if a.Error == "" && !strings.Contains(a.Text, comment) {
			t.Fatalf("seed %d: %s is lost\n%s", seed, comment, a.Text)
		}
	}
}

func iniText(value any) string {
	switch v := value.(type) {
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	case string:
		switch v {
		case "yes":
			return "true"
		}
		return v
	}
	return ""
}

// normal returns the same values for the same JSON, whatever the form of numbers.
func normal(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

package keep_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/keep/keeptest"
	"aspects-poc/internal/need"

	"github.com/google/go-cmp/cmp"
)

// A task is the input of testdata/drive.py, and an answer its output.
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
	odd := map[string]bool{} // what configparser reads in another way: it knows no quotes
	for _, e := range doc.Entries {
		values, key := at(e.Path)
		values[key] = iniText(e.Value)
		if text, _ := e.Value.(string); e.Kind == keep.Other || strings.ContainsAny(text, "#;") {
			odd[keep.Dotted(e.Path)] = true
		}
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
		for _, all := range []map[string]config{want, got} {
			for section, values := range all {
				maps.DeleteFunc(values, func(key, _ string) bool { return odd[strings.TrimPrefix(section+".", "first line.")+key] })
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

// TestEdges reads and writes unusual files of each format, in Go and in Python.
func TestEdges(t *testing.T) {
	set := func(value any, path ...string) []keep.Change { return []keep.Change{{Path: path, Value: value}} }
	const inexact, ini = "the number is too large to be held exactly", "the value cannot be in an INI file: "
	cases := []struct {
		task task
		want string // the text afterwards, or what the error has
	}{
		// No spaces stay behind a value that comes into an empty place, and a comment keeps its distance.
		{task{keep.INI, "password = \nb = 1\n", set("new", "password")}, "password = new\nb = 1\n"},
		{task{keep.INI, "password =  \r\nb = 1\r\n", set("new", "password")}, "password = new\r\nb = 1\r\n"},
		{task{keep.INI, "b = 1\npassword = \t", set("new", "password")}, "b = 1\npassword = new"},
		{task{keep.INI, "password =   # none\nb = 1\n", set("new", "password")}, "password = new   # none\nb = 1\n"},
		// In quotes # and ; begin no comment. What programs read in different ways stays as it is.
		{task{keep.INI, "a = \"x # y\"  ; z\n", set("new", "a")}, "a = \"new\"  ; z\n"},
		{task{keep.INI, "a = 'x ; y'\n", set("new", "a")}, "a = 'new'\n"},
		{task{keep.INI, "a = \"x\", \"y\"\n", set("new", "a")}, "line 1 of the file has quotes that do not enclose the whole value"},
		{task{keep.INI, "a = \"x # y\n", set("new", "a")}, "line 1 of the file has quotes that do not enclose the whole value"},
		{task{keep.INI, "a = \"x\"# y\n", set("new", "a")}, "line 1 of the file has quotes that do not enclose the whole value"},
		{task{keep.INI, "a = #ff0000\n", set("new", "a")}, "line 1 of the file has # or ; at its beginning"},
		{task{keep.INI, "a = #ff0000\nb = 1\n", set("2", "b")}, "a = #ff0000\nb = 2\n"},
		{task{keep.YAML, "password: \nb: 1\n", set("new", "password")}, "password: new\nb: 1\n"},
		// An integer that the values of confdb do not hold is none, whoever writes it.
		{task{keep.INI, "a = 1\n", set(json.Number("123456789012345678"), "a")}, inexact},
		{task{keep.YAML, "a: 1\n", set(json.Number("9007199254740993"), "a")}, inexact},
		{task{keep.JSON, `{"a": 1}`, set(json.Number("-9007199254740993"), "a")}, inexact},
		{task{keep.TOML, "a = 1\n", set(json.Number("9007199254740992"), "a")}, "a = 9007199254740992\n"},
		// A refusal shows no value: it may be a secret.
		{task{keep.INI, "a = x\n", set("s3cr3t ; x", "a")}, ini},
		{task{keep.YAML, "a: 2026-01-01\n", set("s3cr3t", "a")}, "the value is no date or time in the form of 2026-01-01"},
		{task{keep.INI, "[a] s3cr3t\n", nil}, "line 1: something stands behind the name of a section"},
		{task{keep.YAML, "a: s3cr3t: x\n", nil}, "line 1: the value has a colon or a dash as YAML uses them: put the text in quotes"},
		{task{keep.YAML, "a: 'x' s3cr3t\n", nil}, "line 1: something stands behind the value"},
		{task{keep.YAML, "a: {'x': 1, !s3cr3t: 2}\n", nil}, "line 1: the text is no key"},
		{task{keep.JSON, `{"a": s3cr3t}`, nil}, "line 1: the text is no value of JSON: texts need quotes"},
		{task{keep.TOML, "a = s3cr3t\n", nil}, "line 1: the text is no value of TOML: texts need quotes"},
		{task{keep.TOML, "a = 'x' s3cr3t\n", nil}, "line 1: something stands behind the value"},
	}
	var tasks []task
	for _, c := range cases {
		tasks = append(tasks, c.task)
	}
	for i, a := range drive(t, tasks) {
		text, err := keep.Edit(tasks[i].Format, tasks[i].Text, tasks[i].Changes)
		if err != nil {
			text = err.Error()
		}
		for language, got := range map[string]string{"Go": text, "Python": a.Text + a.Error} {
			failed := err != nil && (language == "Go" || a.Error != "")
			if got != cases[i].want && !(failed && strings.Contains(got, cases[i].want)) || strings.Contains(got, "s3cr3t") {
				t.Errorf("%s: %q with %v: %q, want %q", language, tasks[i].Text, tasks[i].Changes, got, cases[i].want)
			}
		}
	}
	for format, text := range map[keep.Format]string{keep.YAML: "a: 9007199254740993\n", keep.JSON: `{"a": 9007199254740993}`,
		keep.INI: "a = -9007199254740993\n", keep.TOML: "a = 9007199254740993\n"} {
		doc, err := keep.Parse(format, text)
		if err != nil {
			t.Fatal(err)
		}
		if e := doc.Entries[0]; e.Kind != keep.Other || e.Why != inexact {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

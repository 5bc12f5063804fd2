package confdb_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// TestConformance runs recorded cases of snapd's own engine: every line of every *.jsonl in CONFORMANCE_DIR (relative to
// the project's root; default ../shared/conformance). Each line is a case: a schema and operations in order with the
// answers that snapd gave. It ends with two lines on standard output that count the cases.
//
// Cases in which we differ on purpose are listed in testdata/conformance-exceptions.txt, each with the reason.
func TestConformance(t *testing.T) {
	files := conformanceFiles(t)
	exceptions := readExceptions(t)
	var cases, agree, optional int
	for _, file := range files {
		for _, line := range readLines(t, file) {
			var c vector
			decoder := json.NewDecoder(bytes.NewReader(line))
			decoder.UseNumber()
			if err := decoder.Decode(&c); err != nil {
				t.Fatalf("cannot decode a case of %s: %v", file, err)
			}
			cases++
			difference, optionalDifference := c.run()
			reason, excepted := exceptions[c.ID]
			switch {
			case difference == "":
				agree++
				if excepted {
					t.Errorf("%s agrees, but is listed as an exception (%s)", c.ID, reason)
				}
			case excepted:
				t.Logf("%s differs on purpose: %s", c.ID, reason)
			default:
				t.Errorf("%s (%s): %s", c.ID, c.Feature, difference)
			}
			if optionalDifference == "" {
				optional++
			} else if difference == "" && os.Getenv("CONFORMANCE_OPTIONAL") != "" {
				t.Logf("%s (%s): optional: %s", c.ID, c.Feature, optionalDifference)
			}
		}
	}
	fmt.Printf("conformance: %d cases, %d agree, %d differ\n", cases, agree, cases-agree)
	fmt.Printf("conformance: %d cases, %d agree on the optional fields\n", cases, optional)
}

func conformanceFiles(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("CONFORMANCE_DIR")
	given := dir != ""
	if !given {
		dir = filepath.Join("..", "shared", "conformance")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		if given {
			t.Fatalf("CONFORMANCE_DIR: no *.jsonl in %s", dir)
		}
		t.Skipf("no *.jsonl in %s: name a folder with CONFORMANCE_DIR to run recorded cases", dir)
	}
	return files
}

func readLines(t *testing.T, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(bytes.Split(text, []byte("\n")), func(line []byte) bool {
		return len(bytes.TrimSpace(line)) == 0
	})
}

func readExceptions(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "conformance-exceptions.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	exceptions := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Fatalf("conformance-exceptions.txt: %q: want ID: REASON", line)
		}
		exceptions[id] = reason
	}
	return exceptions
}

type vector struct {
	ID, Feature, Account, Schema string
	Views                        any
	Storage                      json.RawMessage
	SchemaError                  *struct{ Stage, Message string } `json:"schema-error"`
	Steps                        []step
}

type step struct {
	Op, View string

	Values       map[string]any
	Exact        bool `json:"exact-numbers"`
	Databag      any
	FailedIn     string    `json:"failed-in"`
	AlteredPaths *[]string `json:"altered-paths"`
	Affected     *[]string `json:"affected-views"`

	Keys        []string
	Constraints map[string]any
	UserAccess  string `json:"user-access"`
	Result      any
	DaemonError *string `json:"daemon-error"`

	Error            *outcome
	AffectsEphemeral *bool `json:"affects-ephemeral"`
}

type outcome struct{ Kind, Message string }

// run returns the first difference from the recording, and the first one in the optional fields; "" for none.
func (c vector) run() (difference, optional string) {
	schema, err := confdb.New(c.Account, c.Schema, c.Storage, floats(c.Views))
	var refused *confdb.SchemaError
	switch {
	case errors.As(err, &refused):
		if c.SchemaError == nil {
			return "schema refused: " + refused.Message, "not run"
		}
		if refused.Stage != c.SchemaError.Stage || refused.Message != c.SchemaError.Message {
			return fmt.Sprintf("schema refused with\n\t%s %s, want\n\t%s %s", refused.Stage, refused.Message,
				c.SchemaError.Stage, c.SchemaError.Message), "not run"
		}
		return "", ""
	case err != nil:
		return "schema refused by another error: " + err.Error(), "not run"
	case c.SchemaError != nil:
		return "schema accepted, want " + c.SchemaError.Message, "not run"
	}
	var bag databag.Bag
	for i, step := range c.Steps {
		var fault, optionalFault string
		if step.Op == "set" {
			bag, fault, optionalFault = step.set(schema, bag)
		} else {
			fault, optionalFault = step.get(schema, bag)
		}
		if fault != "" {
			return fmt.Sprintf("step %d: %s", i, fault), "earlier"
		}
		if optionalFault != "" && optional == "" {
			optional = fmt.Sprintf("step %d: %s", i, optionalFault)
		}
	}
	return "", optional
}

func (s step) set(schema *confdb.Schema, bag databag.Bag) (databag.Bag, string, string) {
	tx := schema.Begin(bag)
	tx.Exact = s.Exact
	err := tx.Write(s.View, s.Values)
	wrote, failedIn, ephemeral := err == nil, "", false
	if err == nil {
		if ephemeral, err = tx.Ephemeral(); err != nil {
			failedIn = "ephemeral-check"
		}
	}
	after := bag
	if err == nil {
		if after, err = tx.Commit(bag); err != nil {
			failedIn = "commit"
		}
	}
	if fault := s.sameError(err); fault != "" {
		return after, fault, ""
	}
	if failedIn != s.FailedIn {
		return after, fmt.Sprintf("failed in %q, want %q", failedIn, s.FailedIn), ""
	}
	if diff := differ(s.Databag, after.Value()); diff != "" {
		return after, "databag " + diff, ""
	}
	if !wrote || s.AlteredPaths == nil {
		return after, "", ""
	}
	if got := tx.Altered(); !slices.Equal(got, *s.AlteredPaths) {
		return after, "", fmt.Sprintf("altered paths %q, want %q", got, *s.AlteredPaths)
	}
	if got := schema.Affected(tx.Altered()); s.Affected != nil && !slices.Equal(got, *s.Affected) {
		return after, "", fmt.Sprintf("affected views %q, want %q", got, *s.Affected)
	}
	if s.AffectsEphemeral != nil && ephemeral != *s.AffectsEphemeral {
		return after, "", fmt.Sprintf("affects ephemeral data: %t, want %t", ephemeral, *s.AffectsEphemeral)
	}
	return after, "", ""
}

func (s step) get(schema *confdb.Schema, bag databag.Bag) (string, string) {
	options := confdb.ReadOptions{Constraints: s.Constraints, Unprivileged: s.UserAccess == "unprivileged"}
	result, err := schema.Read(bag, s.View, s.Keys, options)
	if fault := s.sameError(err); fault != "" {
		return fmt.Sprintf("get %s %q: %s", s.View, s.Keys, fault), ""
	}
	if err == nil {
		if diff := differ(s.Result, result); diff != "" {
			return fmt.Sprintf("get %s %q: result %s", s.View, s.Keys, diff), ""
		}
	}
	ephemeral, checkErr := schema.ReadsEphemeral(s.View, s.Keys, options)
	if s.AffectsEphemeral != nil && (checkErr != nil || ephemeral != *s.AffectsEphemeral) {
		return "", fmt.Sprintf("affects ephemeral data: %t %v, want %t", ephemeral, checkErr, *s.AffectsEphemeral)
	}
	want, got := message(s.Error), ""
	if s.DaemonError != nil {
		want = *s.DaemonError
	}
	if daemonErr := schema.DaemonError(s.View, s.Keys, options, err); daemonErr != nil {
		got = daemonErr.Error()
	}
	if got != want {
		return "", fmt.Sprintf("daemon says %q, want %q", got, want)
	}
	return "", ""
}

func message(o *outcome) string {
	if o == nil {
		return ""
	}
	return o.Message
}

func (s step) sameError(err error) string {
	var refused *confdb.Error
	switch {
	case err == nil && s.Error == nil:
		return ""
	case err == nil:
		return "no error, want " + s.Error.Message
	case !errors.As(err, &refused):
		return "error of another type: " + err.Error()
	case s.Error == nil:
		return "error: " + err.Error()
	case string(refused.Kind) != s.Error.Kind || refused.Message != s.Error.Message:
		return fmt.Sprintf("error\n\t%s %s, want\n\t%s %s", refused.Kind, refused.Message, s.Error.Kind, s.Error.Message)
	}
	return ""
}

// differ compares JSON shapes. (cmp.Diff would take time that doubles with each level of a list in a list.)
func differ(want, got any) string {
	want, got = floats(want), floats(got)
	if reflect.DeepEqual(want, got) {
		return ""
	}
	wantText, _ := json.Marshal(want)
	gotText, _ := json.Marshal(got)
	return fmt.Sprintf("\n\t%s, want\n\t%s", gotText, wantText)
}

// floats returns JSON shapes with all numbers as float64, as they are to be compared.
func floats(value any) any {
	return jsonvalue.MapNumbers(value, func(number json.Number) any {
		float, _ := number.Float64()
		return float
	})
}

package script_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/registrytest/testschema"

	"github.com/google/go-cmp/cmp"
)

// TestFailure checks the Failure of a script: its line, the expected and the found text, and the log before it.
func TestFailure(t *testing.T) {
	const begin = "# First.\nset control-telemetry sample-rate=1\n# Then.\nset control-telemetry sample-rate=4\n"
	for _, test := range []struct {
		name, script string
		want         script.Failure
	}{
		{"a value", begin + "expect control-telemetry sample-rate=5\n", script.Failure{Line: 6, Text: "expect control-telemetry sample-rate=5",
			Message: "control-telemetry has other values than expected:\n--- expected\n+++ found\n@@ -1,3 +1,3 @@\n {\n" +
				"-  \"sample-rate\": 5\n+  \"sample-rate\": 4\n }",
			Log: "# First.\n# Then.\n> set control-telemetry sample-rate=4\n> expect control-telemetry sample-rate=5"}},
		{"an output", begin + "get control-telemetry sample-rate\nstdout '^5$'\n", script.Failure{Line: 7, Text: "stdout '^5$'",
			Message: "no match for `^5$` found in stdout\n- ^5$\n+ {\"sample-rate\":4}",
			Log: "# First.\n# Then.\n> set control-telemetry sample-rate=4\n> get control-telemetry sample-rate\n[stdout]\n{\"sample-rate\":4}\n\n" +
				"> stdout '^5$'"}},
		{"what was not refused", begin + "fail 'too high' set control-telemetry sample-rate=5\n", script.Failure{Line: 6,
			Text: "fail 'too high' set control-telemetry sample-rate=5", Message: "set was not refused\n- refused: too high\n+ not refused",
			Log: "# First.\n# Then.\n> set control-telemetry sample-rate=4\n> fail 'too high' set control-telemetry sample-rate=5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := script.Run(t.Context(), script.Options{Files: []string{write(t, "declare cust custodian=control-telemetry\n"+test.script)},
				Schemas: []facts.Schema{schema(t)}})
			if err != nil || report.Failed() != 1 {
				t.Fatalf("%v %+v", err, report)
			}
			got := report.Results[0].Failure()
			got.Log = regexp.MustCompile(` \([0-9.]+s\)`).ReplaceAllString(got.Log, "")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRunUntil stops a script at each of its lines, and checks the machine's state there.
func TestRunUntil(t *testing.T) {
	const text = "declare cust custodian=control-telemetry\nset control-telemetry sample-rate=1\n\nexpect control-telemetry sample-rate=7\n" +
		"set control-telemetry sample-rate=3\n-- file --\ntext\n"
	file := filepath.Join(write(t, text), "case000.txtar")
	options := script.Options{Schemas: []facts.Schema{schema(t)}}
	for line, want := range map[int]string{2: "{}", 3: `{"metrics":{"sample-rate":1}}`, 4: `{"metrics":{"sample-rate":1}}`} {
		reached := 0
		err := script.RunUntil(t.Context(), file, options, script.Break{Line: line, Reached: func(m script.Halted) error {
			reached++
			got := m.World.Facts.Now().Stored(testschema.AccountID, "network")
			if _, err := os.Stat(filepath.Join(m.Dir, "file")); err != nil || got != want || m.Next != strings.Split(text, "\n")[line-1] {
				t.Errorf("before line %d, %q: %s, want %s (%v)", line, m.Next, got, want, err)
			}
			return nil
		}})
		if err != nil || reached != 1 {
			t.Errorf("line %d: %v, reached %d times", line, err, reached)
		}
	}
	broken := errors.New("broken")
	if err := script.RunUntil(t.Context(), file, options, script.Break{Line: 1, Reached: func(script.Halted) error { return broken }}); !errors.Is(err, broken) {
		t.Error(err)
	}
	for _, test := range []struct {
		line int
		want string
	}{{5, file + ":4: control-telemetry has other values than expected:"}, {0, "fails before it comes to the line"}, {7, "there is no line 7 to stop at"}} {
		err := script.RunUntil(t.Context(), file, options, script.Break{Line: test.line, Reached: func(script.Halted) error {
			t.Errorf("line %d was reached", test.line)
			return nil
		}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("line %d: %v, want %s", test.line, err, test.want)
		}
	}
}

// TestPage checks the colours of a schema's lines.
func TestPage(t *testing.T) {
	const text = `account-id: f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN
name: home
timestamp: "2026-11-01T00:00:00Z"
views:
  light:
    rules:
      - request: on
        storage: on
      - {request: level, storage: level}
      - {request: hidden, storage: hidden, access: write}
      - {request: "a<b", storage: never, access: read}
  lamp:
    rules:
      - request: lamp
        storage: lamp
        content:
          - {storage: bulb}
storage:
  schema:
    on: bool
    level: {type: int, min: 0}
    hidden: int
    never: int
    lamp: {schema: {bulb: int}}
`
	good := strings.Replace(text, `"a<b"`, "never", 1)
	doc, err := document.Parse("home.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	signable, err := doc.Unsigned("")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := facts.ParseSchema(signable)
	if err != nil {
		t.Fatal(err)
	}
	dir := write(t, "declare cust custodian=light custodian=lamp\nset light on=true\nexpect light on=true\n! set light level=-1\nset lamp lamp.bulb=1\n")
	report, err := script.Run(t.Context(), script.Options{Files: []string{dir}, Schemas: []facts.Schema{parsed}})
	if err != nil || report.Failed() > 0 {
		t.Fatalf("%v %+v", err, report)
	}
	var page bytes.Buffer
	if err := report.Coverage.HTML(&page, []script.Source{{File: "home.yaml", Text: []byte(text), Documents: []*document.Document{doc}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<tr class="yes"><td class="n">7</td><td class="m">yes</td><td class="m">yes</td><td>      - request: on</td></tr>`,
		`<tr class="yes"><td class="n">8</td>`,
		`<tr class="part"><td class="n">9</td><td class="m">never</td><td class="m">refused</td>`,
		`<tr class="no"><td class="n">10</td><td class="m"></td><td class="m">never</td>`,
		`<tr class="no"><td class="n">11</td><td class="m">never</td><td class="m"></td><td>      - {request: &#34;a&lt;b&#34;`,
		`<tr><td class="n">18</td>`,
		"<td>no snap has hooks</td>",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %s:\n%s", want, page.String())
		}
	}
	if strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "http") {
		t.Error("the page needs something else")
	}
}

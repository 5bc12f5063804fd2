package script_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/registrytest/testschema"
)

func schema(t testing.TB) facts.Schema {
	t.Helper()
	document := testschema.Document()
	parsed, err := confdb.ParseDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	return facts.Schema{Parsed: parsed, Document: document}
}

// write writes each text to a file that is named after its index, and returns the folder.
func write(t testing.TB, texts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("case%03d.txtar", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const passing = `declare cust custodian=control-telemetry
set control-telemetry sample-rate=4 monitor-peers=true
expect control-telemetry sample-rate=4 monitor-peers=true
unset control-telemetry monitor-peers
expect control-telemetry {"sample-rate":4}
fail 'less than the allowed minimum' set control-telemetry sample-rate=-1
snapctl-as cust get --view :control-telemetry sample-rate
stdout '^4$'
`

func TestRun(t *testing.T) {
	dir := write(t, passing, "set control-telemetry sample-rate=4\n", "nosuch\n", "[!exec:nosuch] skip later\n",
		"fail x get\n", "! expect\n", "fail never set control-telemetry sample-rate=1\n")
	report, err := script.Run(t.Context(), script.Options{Files: []string{dir}, Schemas: []facts.Schema{schema(t)}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "no custodian snap connected", `unknown command "nosuch"`, "skip", "usage: get VIEW",
		"usage: expect VIEW", "set was refused for another reason\n- never\n+ cannot write confdb view"}
	for i, result := range report.Results {
		got := ""
		if result.Failed {
			got = result.Log
		} else if result.Skipped {
			got = "skip"
		}
		if (got == "") != (want[i] == "") || !strings.Contains(got, want[i]) {
			t.Errorf("%s: %q, want %q", result.Name, got, want[i])
		}
	}
	if report.Failed() != 5 {
		t.Errorf("%d failed", report.Failed())
	}
	missing := report.Coverage.Missing()
	if want := "control-telemetry sample-rate"; strings.Contains(strings.Join(missing.NotRead, "\n"), want) ||
		strings.Contains(strings.Join(missing.NotWritten, "\n"), want) {
		t.Errorf("%+v", missing)
	}
	if len(missing.NotRead) == 0 {
		t.Errorf("%+v", missing)
	}
	var text bytes.Buffer
	if err := report.JUnit(&text); err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suite    struct {
			Skipped int `xml:"skipped,attr"`
			Cases   []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text.Bytes(), &junit); err != nil {
		t.Fatal(err)
	}
	if junit.Tests != 7 || junit.Failures != 5 || junit.Suite.Skipped != 1 || junit.Suite.Cases[0].Failure != nil ||
		!strings.Contains(junit.Suite.Cases[2].Failure.Message, "unknown command") {
		t.Errorf("%s", text.Bytes())
	}
}

// TestCoverage checks which accesses count as read and written: refused ones do not count, and are reported.
func TestCoverage(t *testing.T) {
	const begin = "declare cust custodian=control-telemetry custodian=observe-device\n"
	for _, test := range []struct {
		name, script              string
		read, written             bool // whether sample-rate was
		readRefused, writeRefused bool
	}{
		{name: "nothing", script: begin},
		{name: "written", script: begin + "set control-telemetry sample-rate=4\n", written: true},
		{name: "unset", script: begin + "unset control-telemetry sample-rate\n", written: true},
		{name: "read", script: begin + "set control-telemetry sample-rate=4\nget control-telemetry sample-rate\n", read: true, written: true},
		{name: "read without data", script: begin + "expect control-telemetry sample-rate!\n", read: true},
		{name: "refused by the schema", script: begin + "! set control-telemetry sample-rate=-1\n", writeRefused: true},
		{name: "refused beside another", script: begin + "! set control-telemetry sample-rate=1 monitor-peers=7\n", writeRefused: true},
		{name: "refused, then taken", script: begin + "! set control-telemetry sample-rate=-1\nset control-telemetry sample-rate=1\n",
			written: true},
		{name: "taken, then refused", script: begin + "set control-telemetry sample-rate=1\n! set control-telemetry sample-rate=-1\n",
			written: true},
		{name: "without a custodian", script: "! set control-telemetry sample-rate=1\n! get control-telemetry\n",
			writeRefused: true, readRefused: true},
		{name: "of another access", script: begin + "! set observe-device server-url=x\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := script.Run(t.Context(), script.Options{Files: []string{write(t, test.script)}, Schemas: []facts.Schema{schema(t)}})
			if err != nil || report.Failed() > 0 {
				t.Fatalf("%v %+v", err, report)
			}
			missing := report.Coverage.Missing()
			has := func(list []string, request string) bool {
				return slices.ContainsFunc(list, func(name string) bool { return strings.HasSuffix(name, request) })
			}
			const rate = "control-telemetry sample-rate"
			for _, check := range []struct {
				list string
				got  bool
				want bool
			}{
				{"never read", has(missing.NotRead, rate), !test.read && !test.readRefused},
				{"never written", has(missing.NotWritten, rate), !test.written && !test.writeRefused},
				{"read refused", has(missing.ReadRefused, rate), test.readRefused},
				{"write refused", has(missing.WrittenRefused, rate), test.writeRefused},
				{"never written, as it cannot be", has(missing.NotWritten, "observe-device server-url"), false},
				{"write refused, as it cannot be", has(missing.WrittenRefused, "observe-device server-url"), false},
			} {
				if check.got != check.want {
					t.Errorf("listed as %s: %v", check.list, check.got)
				}
			}
			if listed := len(missing.NotRead) + len(missing.NotWritten) + len(missing.ReadRefused) + len(missing.WrittenRefused); missing.Touched+listed != missing.Rules {
				t.Errorf("%d touched and %d listed of %d", missing.Touched, listed, missing.Rules)
			}
		})
	}
}

// TestInterrupted checks that a hook that hangs ends with the run, and that no script begins after that.
func TestInterrupted(t *testing.T) {
	dir := write(t, "schema $PROJECT/schema.json\ninstall $PROJECT/cust\nconnect cust\nset control-telemetry sample-rate=4\n",
		passing, passing)
	project := t.TempDir()
	up := filepath.Join(project, "up")
	if err := syscall.Mkfifo(up, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cust/meta/snap.yaml": "name: cust\nplugs:\n  control-telemetry: {interface: confdb, account: " + testschema.AccountID +
			", view: network/control-telemetry, role: custodian}\n",
		"cust/meta/hooks/change-view-control-telemetry": "#!/bin/sh\nexec 3>" + up + "\nsleep 3600\n",
		"schema.json": string(testschema.Document()),
	} {
		path := filepath.Join(project, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		file, err := os.Open(up) // as soon as the hook has opened it
		cancel()
		if err == nil {
			_, err = io.Copy(io.Discard, file) // until nobody has it any more
		}
		ended <- errors.Join(err, file.Close())
	}()
	done := 0
	_, err := script.Run(ctx, script.Options{Files: []string{dir}, Project: project, Program: "/bin/true", Parallel: 1,
		ReadSchema: func(string) ([]facts.Schema, error) { return []facts.Schema{schema(t)}, nil }, Done: func(script.Result) { done++ }})
	if !errors.Is(err, context.Canceled) || done != 1 {
		t.Errorf("%v after %d scripts", err, done)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNothingToRun(t *testing.T) {
	for _, files := range [][]string{nil, {t.TempDir()}, {"nosuch.txtar"}} {
		if _, err := script.Run(t.Context(), script.Options{Files: files}); err == nil || !strings.HasPrefix(err.Error(), "cannot run scripts: ") {
			t.Errorf("%q: %v", files, err)
		}
	}
}

// BenchmarkCases is a hundred scripts, without hooks.
func BenchmarkCases(b *testing.B) {
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = passing
	}
	dir := write(b, texts...)
	options := script.Options{Files: []string{dir}, Schemas: []facts.Schema{schema(b)}}
	for b.Loop() {
		report, err := script.Run(b.Context(), options)
		if err != nil || report.Failed() > 0 {
			b.Fatalf("%v, %d failed", err, report.Failed())
		}
	}
}

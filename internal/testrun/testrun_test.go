package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// module is a module with a package for each result of go test.
const module = `
-- go.mod --
module stranger

go 1.24
-- good/good.go --
package good
-- good/good_test.go --
package good

import "testing"

func TestGood(t *testing.T) { t.Log("nobody reads this") }

func FuzzGood(f *testing.F) {
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) { t.Skip("an input without use") })
}
-- skips/skips_test.go --
package skips

import "testing"

func TestWants(t *testing.T) {
	t.Run("python", func(t *testing.T) {
		t.Log("looking for it")
		t.Log("needs python3, which is not here: apt-get install python3")
		t.Skip("a word after it")
	})
	for range 2 {
		t.Run("other", func(t *testing.T) { t.Skip("the moon is full (of 28 days)") })
	}
}

func TestWantsMore(t *testing.T) { t.Skip("needs python3, which is not here: apt-get install python3") }
func TestWantsSnap(t *testing.T) { t.Skip("needs a snap, which is not here: .ci/fetch") }
-- empty/empty.go --
package empty
-- bad/bad_test.go --
package bad

import "testing"

func TestFine(t *testing.T) { t.Log("nor this") }
func TestBad(t *testing.T)  { t.Run("part", func(t *testing.T) { t.Error("one is not two") }) }
-- panics/panics_test.go --
package panics

import "testing"

func TestPanics(t *testing.T) { t.Log("before it"); panic("out of luck") }
-- broken/broken_test.go --
package broken

func TestBroken(t *testing.T) {}
`

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for _, file := range txtar.Parse([]byte(module)).Files {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "") // with -trimpath the results of an earlier run would be in the cache
	var out strings.Builder
	if code, err := run(dir, &out, []string{"./..."}); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v", code, err)
	}
	t.Log(out.String())
	if detector, _, _ := strings.Cut(out.String(), "\n"); !regexp.MustCompile(`^Race detector: (on, with|off\.) .`).MatchString(detector) {
		t.Errorf("what of the race detector? %s", detector)
	}
	for _, want := range []string{`(?m)^Temporary files: in .`, `(?m)^ok    stranger/good +\d`, `(?m)^FAIL  stranger/bad +\d`, `(?m)^ +bad_test\.go:6: one is not two$`,
		`panics_test\.go:5: before it`, `panic: out of luck`, `broken_test\.go:3:20: undefined: testing`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("not there: %s", want)
		}
	}
	if regexp.MustCompile(`nobody reads this|nor this|without use|empty|=== `).MatchString(out.String()) {
		t.Error("it shows what nobody wants to read")
	}
	_, summary, _ := strings.Cut(out.String(), "\n\n")
	const want = `Skipped, because something is missing:
  a snap: .ci/fetch
    stranger/skips: TestWantsSnap
  python3: apt-get install python3
    stranger/skips: TestWants/python, TestWantsMore
All that Debian has of it: apt-get install python3

Skipped for another reason:
  the moon is full
    stranger/skips: TestWants (2 parts)

2 packages passed (0 cached), 3 failed; 5 tests skipped
FAIL  stranger/bad TestBad/part TestBad
FAIL  stranger/broken
FAIL  stranger/panics TestPanics
`
	if diff := cmp.Diff(want, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestReason(t *testing.T) {
	const noCompiler = "# runtime/cgo\ncgo: C compiler \"gcc\" not found: exec: \"gcc\": executable file not found in $PATH\n"
	for output, want := range map[string]string{
		noCompiler: `cgo: C compiler "gcc" not found: exec: "gcc": executable file not found in $PATH`,
		"# runtime/cgo\n_cgo_export.c:3:10: fatal error: stdlib.h: No such file or directory\n    3 | #include\n": "_cgo_export.c:3:10: fatal error: stdlib.h: No such file or directory",
		"go: -race is not supported on linux/riscv64\n":                                                           "go: -race is not supported on linux/riscv64",
		"strange\nwords\n": "strange",
	} {
		if got := reason(output); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestMemory: if temporary files cannot be in memory, they stay on disk, and the run prints the reason.
func TestMemory(t *testing.T) {
	for folder, want := range map[string]string{"/proc": "/proc is not in memory", "/nowhere": "/nowhere is not in memory"} {
		if got := unfit(folder); got != want {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
	}
	if available() < 16<<20 {
		t.Errorf("the machine says to have %d bytes", available())
	}
	t.Setenv("TMPDIR", "/chosen")
	if variables, said := memory(); variables != nil || said != "Temporary files: in /chosen" {
		t.Errorf("%q, %s", variables, said)
	}
	t.Setenv("TMPDIR", "")
	t.Setenv("GOTMPDIR", "")
	variables, said := memory()
	if where := os.TempDir(); len(variables) == 0 && !strings.HasPrefix(said, "Temporary files: in "+where+", for ") ||
		len(variables) > 0 && (said != "Temporary files: in memory, /dev/shm" ||
			!slices.Equal(variables, []string{"TMPDIR=/dev/shm", "GOTMPDIR=" + where})) {
		t.Errorf("%q, %s", variables, said)
	}
}

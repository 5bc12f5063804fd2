package need

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A recorder is a test that Program ends.
type recorder struct {
	testing.TB
	said            string
	skipped, failed bool
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) {
	r.said, r.skipped = fmt.Sprint(args...), true
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.said, r.failed = fmt.Sprint(args...), true
	runtime.Goexit()
}

// record runs a test and returns its result.
func record(test func(t testing.TB)) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{Require, "ASPECTS_REQUIRE_BROWSER"} {
		t.Setenv(name, "")
	}
	present := filepath.Join(dir, "curl")
	if err := os.WriteFile(present, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var got string
	if r := record(func(t testing.TB) { got = Program(t, "curl") }); r.skipped || r.failed || got != present {
		t.Errorf("curl is there: %+v, %q", r, got)
	}
	const lacking = "needs chromium, which is not here: apt-get install chromium"
	ask := func(t testing.TB) { Programs(t, "curl", "chromium") }
	if r := record(ask); !r.skipped || r.said != lacking {
		t.Errorf("skipped %v, said %q", r.skipped, r.said)
	}
	if r := record(func(t testing.TB) { Program(t, "nosuch") }); !r.failed {
		t.Errorf("a program that no package is known for: %+v", r)
	}
	t.Setenv("ASPECTS_REQUIRE_BROWSER", "1")
	if r := record(ask); !r.failed || r.said != lacking+" (ASPECTS_REQUIRE_BROWSER=1)" {
		t.Errorf("failed %v, said %q", r.failed, r.said)
	}
	t.Setenv(Require, "1")
	if r := record(func(t testing.TB) { Program(t, "openssl") }); !r.failed {
		t.Errorf("openssl is required: %+v", r)
	}
}

func TestParseLack(t *testing.T) {
	const line = "    hookrun_test.go:57: needs python3 with PyYAML, which is not here: apt-get install python3-yaml\n"
	lack, ok := ParseLack(line)
	if !ok || *lack != (Lack{What: "python3 with PyYAML", Remedy: "apt-get install python3-yaml"}) {
		t.Errorf("%+v, %v", lack, ok)
	}
	if lack, ok := ParseLack("    run_test.go:7: it takes a while"); ok {
		t.Errorf("found where there is nothing: %v", lack)
	}
}

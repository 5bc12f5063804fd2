package hookrun_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/need"
)

// TestUnstarted checks the errors of hooks that the system cannot start.
func TestUnstarted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"not executable", "#!/bin/sh\n", 0o644, "permission denied: chmod +x makes it executable"},
		{"no interpreter", "echo hi\n", 0o755, "exec format error: a script must begin with a line that names its interpreter, such as #!/bin/sh"},
		{"no such interpreter", "#!/usr/bin/nosuch -x\n", 0o755, `its interpreter "/usr/bin/nosuch" does not exist`},
		{"lines of Windows", "#!/bin/sh\r\necho hi\r\n", 0o755, `its interpreter "/bin/sh\r" does not exist: the script has the line ends of Windows`},
		{"empty", "", 0o755, "exec format error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := machine(t, changes.Options{})
			dir := unpacked(t, map[string]string{"meta/hooks/install": test.text})
			hook := filepath.Join(dir, "meta", "hooks", "install")
			must(t, os.Chmod(hook, test.mode))
			err := w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Hooks: []string{"install"}}))
			want := "- Run install hook of \"app\" snap if present (run hook \"install\": cannot run " + hook + ": " + test.want
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
			if _, err := w.Snap("app"); err == nil {
				t.Error("it is installed all the same")
			}
		})
	}
}

// TestLanguages runs hooks in those of several languages that are installed.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ program, interpreter, text string }{
		{"sh", "/bin/sh", "echo \"$SNAP_NAME\" >&2; exit 3"},
		{"python3", "/usr/bin/env python3", "import os, sys\nprint(os.environ['SNAP_NAME'])\nsys.exit(3)"},
		{"perl", "/usr/bin/perl", "print \"$ENV{SNAP_NAME}\\n\"; exit 3;"},
	} {
		t.Run(test.program, func(t *testing.T) {
			need.Program(t, test.program)
			w, _ := machine(t, changes.Options{})
			dir := unpacked(t, map[string]string{"meta/hooks/install": "#!" + test.interpreter + "\n" + test.text + "\n"})
			err := w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Hooks: []string{"install"}}))
			if err == nil || !strings.Contains(err.Error(), `(run hook "install": app)`) {
				t.Error(err)
			}
		})
	}
}

// TestOutput checks that the end of a hook's output is returned: a hundred lines of limited length.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script, want string }{
		{"many lines", "seq 1 500", lineRange(401, 500)},
		{"one that is long", "head -c 3000000 /dev/zero | tr '\\0' A", strings.Repeat("A", 10<<10)},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := machine(t, changes.Options{})
			dir := unpacked(t, map[string]string{"meta/hooks/install": "#!/bin/sh\n" + test.script + "\nexit 1\n"})
			err := w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Hooks: []string{"install"}}))
			if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > len(test.want)+200 {
				t.Errorf("%.300v", err)
			}
		})
	}
}

func lineRange(from, to int) string {
	var text strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintln(&text, n)
	}
	return strings.TrimSpace(text.String())
}

// TestHang checks that a hook that hangs, and its children, end at its time limit or when the caller gives up.
func TestHang(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		limit time.Duration
		stop  func(w *world.World, id string) error
		want  string
	}{
		{"limit", 300 * time.Millisecond, func(*world.World, string) error { return nil }, "<exceeded maximum runtime of 300ms>"},
		{"abort", time.Hour, func(w *world.World, id string) error {
			_, err := w.Changes.Abort(id)
			return err
		}, "<aborted>"},
		{"close", time.Hour, func(w *world.World, _ string) error { return w.Close() }, "<aborted>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := machine(t, changes.Options{HookLimit: test.limit})
			alive := filepath.Join(t.TempDir(), "alive")
			must(t, syscall.Mkfifo(alive, 0o600))
			dir := unpacked(t, map[string]string{"meta/hooks/disconnect-plug-p": "#!/bin/sh\nexec 3>" + alive + "\nsleep 3600 &\necho up >&3\nwait\n"})
			must(t, w.Facts.Install(facts.Snap{Name: "app", Dir: dir, Hooks: []string{"disconnect-plug-p"},
				Plugs: map[string]facts.Plug{"p": {Interface: "confdb"}}}, "p"))
			id, err := w.Changes.Disconnect("app", "p", "")
			must(t, err)
			pipe, err := os.Open(alive)
			must(t, err)
			defer func() { _ = pipe.Close() }() // only read
			_, err = io.ReadFull(pipe, make([]byte, len("up\n")))
			must(t, err)
			must(t, test.stop(w, id))
			change, err := w.Changes.Wait(context.WithoutCancel(t.Context()), id)
			must(t, err)
			var log []string
			for _, task := range change.Tasks {
				log = append(log, task.Log...)
			}
			if !strings.Contains(strings.Join(log, "\n"), test.want) {
				t.Errorf("%s %q, want %s", change.Status, log, test.want)
			}
			// The pipe ends when all who could write to it have ended.
			if left, err := io.ReadAll(pipe); err != nil || len(left) > 0 {
				t.Errorf("%q, %v", left, err)
			}
		})
	}
}

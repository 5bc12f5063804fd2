package hookrun_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/hookrun"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// machine opens a machine that runs hooks and services.
func machine(t *testing.T, options changes.Options) (*world.World, *hookrun.Runner) {
	t.Helper()
	runner, err := hookrun.New(hookrun.Options{Dir: t.TempDir(), Snapctl: "/bin/true", RunServices: true})
	must(t, err)
	t.Cleanup(func() { must(t, runner.Close()) })
	options.Runner, options.Services = runner, runner
	w, err := world.Open("", options)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	must(t, runner.Serve(w))
	return w, runner
}

// unpacked makes a snap's folder with executable files in it.
func unpacked(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o755))
	}
	return dir
}

var errEnough = errors.New("enough")

// lines reads the log of a service until it has as many lines of the service itself as wanted.
func lines(ctx context.Context, r *hookrun.Runner, service string, last, want int) (list []string, pids map[int]bool, err error) {
	pids = map[int]bool{}
	err = r.Logs(ctx, []string{service}, last, want > 0, func(line rest.LogLine) error {
		if line.Systemd {
			if want := "Started snap." + service + ".service"; !strings.HasPrefix(line.Text, want) {
				return fmt.Errorf("systemd says %q, want %s", line.Text, want)
			}
			return nil
		}
		pids[line.PID] = true
		if list = append(list, line.Text); len(list) == want {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, pids, err
}

func TestLogs(t *testing.T) {
	t.Parallel()
	w, runner := machine(t, changes.Options{})
	dir := unpacked(t, map[string]string{
		"once": "#!/bin/sh\necho one\necho two >&2\necho three\n",
		"runs": "#!/bin/sh\necho other\nexec sleep 600\n",
	})
	must(t, w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Services: map[string]facts.Service{
		"once": {Command: "once", Daemon: "oneshot"}, "runs": {Command: "runs", Daemon: "simple"}}})))
	all, pids, err := lines(t.Context(), runner, "app.once", -1, 3)
	must(t, err)
	if diff := cmp.Diff([]string{"one", "two", "three"}, all); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if len(pids) != 1 || pids[0] {
		t.Errorf("processes %v", pids)
	}
	last, _, err := lines(t.Context(), runner, "app.once", 2, 0)
	must(t, err)
	if diff := cmp.Diff([]string{"two", "three"}, last); diff != "" {
		t.Errorf("last two (-want +got):\n%s", diff)
	}
	other, _, err := lines(t.Context(), runner, "app.runs", 10, 1)
	must(t, err)
	if diff := cmp.Diff([]string{"other"}, other); diff != "" {
		t.Errorf("of the other one (-want +got):\n%s", diff)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := lines(gone, runner, "app.runs", 10, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever follows and goes: %v", err)
	}
}

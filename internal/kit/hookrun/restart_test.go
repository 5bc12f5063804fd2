package hookrun_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// A daemon that crashes is started five times within ten seconds, as by systemd, and then only when it is restarted by hand.
func TestRestartLimit(t *testing.T) {
	t.Parallel()
	w, runner := machine(t, changes.Options{})
	dir := unpacked(t, map[string]string{"crash": "#!/bin/sh\necho begun\nexit 3\n", "stays": "#!/bin/sh\nexec sleep 600\n"})
	must(t, w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Services: map[string]facts.Service{
		"crash": {Command: "crash", Daemon: "simple", RestartDelay: time.Millisecond},
		"stays": {Command: "stays", Daemon: "simple"}}})))
	round := func() (begun, systemd int, last string) {
		err := runner.Logs(t.Context(), []string{"app.crash"}, -1, true, func(line rest.LogLine) error {
			switch {
			case strings.HasPrefix(line.Text, "(start request"):
				last = line.Text
				return errEnough
			case line.Systemd && strings.HasSuffix(line.Text, "Start request repeated too quickly."):
				systemd++
			case line.Text == "begun":
				begun++
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		return begun, systemd, last
	}
	begun, systemd, last := round()
	if begun < 5 || systemd != 1 || !strings.Contains(last, "5 starts within 10s") || !strings.Contains(last, "snapctl restart app.crash") {
		t.Errorf("%d starts, systemd says so %d times, and it ends with %s", begun, systemd, last)
	}
	await(t, "only the other one is active", func() bool {
		snap, err := w.Snap("app")
		must(t, err)
		return !snap.Services["crash"].Running && snap.Services["stays"].Running
	})
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// restart-condition decides after which ends systemd starts a service again.
func TestRestartCondition(t *testing.T) {
	t.Parallel()
	const delay = time.Millisecond
	for condition, want := range map[string]map[string]bool{
		"":            {"fails": true, "killed": true},
		"on-failure":  {"fails": true, "killed": true},
		"on-abnormal": {"killed": true},
		"on-abort":    {"killed": true},
		"on-success":  {"ends": true, "stopped": true},
		"always":      {"fails": true, "killed": true, "ends": true, "stopped": true},
		"on-watchdog": {},
		"never":       {},
	} {
		w, runner := machine(t, changes.Options{})
		dir := unpacked(t, map[string]string{"fails": "#!/bin/sh\nexit 1\n", "ends": "#!/bin/sh\n",
			"killed": "#!/bin/sh\nkill -9 $$\n", "stopped": "#!/bin/sh\nkill -TERM $$\n"})
		services := map[string]facts.Service{"once": {Command: "fails", Daemon: "oneshot", Restart: condition}}
		for _, name := range []string{"fails", "ends", "killed", "stopped"} {
			services[name] = facts.Service{Command: name, Daemon: "simple", Restart: condition, RestartDelay: delay}
		}
		must(t, w.Changes.Complete(t.Context())(w.Changes.Install(facts.Snap{Name: "app", Dir: dir, Services: services})))
		await(t, condition+": all have ended", func() bool {
			snap, err := w.Snap("app")
			must(t, err)
			for _, service := range snap.Services {
				if service.Running {
					return false
				}
			}
			return true
		})
		got := map[string]bool{}
		for name := range services {
			must(t, runner.Logs(t.Context(), []string{"app." + name}, -1, false, func(line rest.LogLine) error {
				if strings.HasPrefix(line.Text, "(start request") {
					got[name] = true
				}
				return nil
			}))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("restart-condition %q (-want +got):\n%s", condition, diff)
		}
	}
}

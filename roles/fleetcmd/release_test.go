package fleetcmd_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// TestReleaseHeldBy: status names the first devices for which a release waits, and says how to list them all.
func TestReleaseHeldBy(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	var devices []uuid.UUID
	for range 7 {
		devices = append(devices, w.register(fleet.Active, nil))
	}
	if code, _, stderr := w.fleet("rename", devices[3].String(), "lobby"); code != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(w.env["HOME"], "release.yaml")
	writeFile(t, file, "stages:\n- percent: 100\n")
	if code, _, stderr := w.fleet("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "-f", "-", "--release", file); code != 0 {
		t.Fatal(stderr)
	}
	said := func(want string) {
		t.Helper()
		if code, stdout, stderr := w.fleet("release", "status"); code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, %q is missing in %s%s", code, want, stdout, stderr)
		}
	}
	said("\nYet to apply it: 10000000-0000, 11000000-0000, 20000000-0000, lobby, 30000000-0000 and 2 more; " +
		"aspects-poc fleet devices --state behind, or new, lists them\n")
	_, stdout, _ := w.fleet("release", "status", "-o", "json")
	var of serverapi.Release
	if err := json.Unmarshal([]byte(stdout), &of); err != nil || len(of.HeldBy) != 1 || of.HeldBy[0].Outcome != "waiting" || of.HeldBy[0].Devices != 7 ||
		len(of.HeldBy[0].Some) != 5 || of.HeldBy[0].Names[devices[3]] != "lobby" {
		t.Errorf("%v, %+v", err, of.HeldBy)
	}
	for _, id := range devices[:5] {
		w.poll(id, `{"control-telemetry":{"sample-rate":4}}`, fleet.Applied, "")
	}
	said("\nYet to apply it: 31000000-0000, 40000000-0000\n")
}

// TestFaultyStages: edit names the stage that is at fault.
func TestFaultyStages(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	w.register(fleet.Active, nil)
	for stages, want := range map[string]string{
		"stages:\n- devices: 1\n- selector: ring=canry\n": "release.stages.2.selector chooses no device",
		"stages:\n- hold: 2d\n":                           "release.stages.1.hold must be a time",
	} {
		file := filepath.Join(w.env["HOME"], "release.yaml")
		writeFile(t, file, stages)
		code, _, stderr := w.fleet("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "-f", "-", "--release", file)
		if code != 1 || !strings.Contains(stderr, "cannot set the layer everyone: ") || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, %q is missing in %s", code, want, stderr)
		}
	}
}

// TestWhyOfRelease: why names the revision that set the value which a device has, also while a release withholds a later one.
func TestWhyOfRelease(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	canary, waits := w.register(fleet.Active, fleet.Labels{"stage": "canary"}), w.register(fleet.Active, nil)
	file := filepath.Join(w.env["HOME"], "release.yaml")
	writeFile(t, file, "stages:\n- selector: stage=canary\n- percent: 100\n")
	w.must("<config: {control-telemetry: {sample-rate: 5, monitor-peers: true}}", "edit", "everyone", "-f", "-")
	w.must("<config: {control-telemetry: {sample-rate: 8, monitor-peers: true}}", "edit", "everyone", "-f", "-", "--release", file)
	for _, want := range []struct {
		device     uuid.UUID
		rate, made int64
	}{{waits, 5, 1}, {canary, 8, 2}} {
		var list []struct{ Target, Revision int64 }
		out := w.must("why", want.device.String(), "control-telemetry.sample-rate", "-o", "json")
		err := json.Unmarshal([]byte(out), &list)
		if err != nil || len(list) != 1 || list[0].Target != want.rate || list[0].Revision != want.made {
			t.Errorf("%v, want %d from revision %d: %s", err, want.rate, want.made, out)
		}
	}
}

// TestReleaseWords: history, status, list and watch say what happened to a release, and who said so; watch says it once.
func TestReleaseWords(t *testing.T) {
	t.Parallel()
	w := loggedIn(t)
	w.register(fleet.Active, nil)
	file := filepath.Join(w.env["HOME"], "release.yaml")
	writeFile(t, file, "stages:\n- percent: 100\n")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs rolestest.Buffer
	ended := make(chan int)
	go func() {
		env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return w.env[name] }}
		ended <- roles.Run(ctx, env, []string{"aspects-poc", "fleet", "watch"}, fleetcmd.Role)
	}()
	waitFor := func(text func() string, want string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !strings.Contains(text(), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q is missing in %s", want, text())
			}
		}
	}
	waitFor(errs.String, "following ")
	if code, _, stderr := w.fleet("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "-f", "-", "--release", file); code != 0 {
		t.Fatal(stderr)
	}
	waitFor(out.String, "release 2 is rolling, stage 1 of 1\n")
	for _, step := range []struct{ word, head, waits, list, history string }{
		{"halt", ": halted, because anna said halt\n",
			"It waits: a person has to say go or undo; no further stage begins, but devices of the stages that have begun still get the change with their next poll\n",
			"anna said halt", "halted: anna said halt\n"},
		{"go", ": rolling\n", "It waits: stage 1: ", "rolling", "stage 1 of 1 goes on: all devices\n"},
		{"undo", ": undone 10s ago, because anna said undo\n", "all devices", "anna said undo", "undone: anna said undo\n"},
	} {
		for _, run := range []struct{ command, want string }{{"release " + step.word, step.head}, {"release status", step.head}, {"release status", step.waits}, {"release list", step.list},
			{"history releases/2", step.history}, {"history releases/2", "stage 1 of 1 begins: all devices\n"}} {
			if code, stdout, stderr := w.fleet(strings.Fields(run.command)...); code != 0 || !strings.Contains(stdout, run.want) {
				t.Errorf("%s: exit %d, %q is missing in %s%s", run.command, code, run.want, stdout, stderr)
			}
		}
	}
	if code, _, stderr := w.fleet("release", "go", "2"); code != 1 || !strings.Contains(stderr, "cannot say go to release 2: ") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	waitFor(out.String, "release 2 is undone, stage 1 of 1: anna said undo\n")
	cancel()
	<-ended
	last := ""
	for line := range strings.Lines(out.String()) {
		if line[len("15:04:05"):] == last {
			t.Errorf("it says so again: %s", line)
		}
		last = line[len("15:04:05"):]
	}
}

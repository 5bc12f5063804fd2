package oracle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A mutant is a fault that is put into the server on purpose.
type mutant struct {
	name  string
	two   bool // it takes two servers on a database to show
	edits []edit
	acts  string // that show it, where chance takes long to do so; "" for random ones
}

// An edit replaces a text that a file of roles/server has once.
type edit struct{ file, old, new string }

// mutants are what the oracle has to find. Each is a mistake that somebody could make.
var mutants = []mutant{
	{"a report is kept whatever its sequence", false, []edit{
		{"fleet/poll.go", "report.Sequence != 0 && report.Sequence < device.Sequence {", "false {"},
		{"fleet/sqlite/reports.go", "if report.Sequence < sequence {", "if false {"}}, ""},
	{"a later report that says the same leaves the sequence as it was", false, []edit{
		{"fleet/state.go", "case report.Sequence > d.Sequence:", "case false:"}}, ""},
	{"changed labels leave what is known of polls as it was", false, []edit{
		{"fleet/fleet.go", "f.known.forget(devices)\n\tf.waiting", "f.waiting"}}, ""},
	{"who waits is not told of labels and of a layer of its own", false, []edit{
		{"fleet/fleet.go", "\tf.waiting.wake(devices)\n", ""}}, ""},
	{"what was refused is offered again", false, []edit{
		{"fleet/verdict.go", "&& v.State != StateRefused }", "}"}}, ""},
	{"what failed is not offered again", false, []edit{
		{"fleet/verdict.go", "&& v.State != StateRefused }", "&& v.State != StateRefused && v.State != StateFailed }"}}, ""},
	{"a drift is not seen", false, []edit{
		{"fleet/verdict.go", "contradictions(t.tree, shown) == nil", "true"}}, ""},
	{"the hash of what runs is not compared", false, []edit{
		{"fleet/verdict.go", "&& report.Running.Hash == t.Hash", ""}}, `
		{"do":"nothing"}
		{"do":"set", "layer":"device", "config":{"control-telemetry":{"monitor-peers":false}}}
		{"do":"set", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}}
		{"do":"delete"}`},
	{"a verdict holds for later revisions too", false, []edit{
		{"fleet/state.go", "case verdict.Revision == desired:", "case verdict.State != StateUnknown:"}}, ""},
	{"who does not say what it runs is judged at its polls only", false, []edit{
		{"fleet/state.go", "if settled || !device.Mute() {", "if settled || !device.At.IsZero() {"}}, ""},
	{"no event tells of a report", false, []edit{
		{"fleet/sqlite/reports.go", "kept = err == nil", "kept = false"}}, ""},
	{"counts are kept for an hour", false, []edit{
		{"fleet/summary.go", "const leastSummary = time.Second", "const leastSummary = time.Hour"}}, ""},
	{"the page shows devices as they were up to an hour ago", false, []edit{
		{"roster/roster.go", "time.Now().Add(share*time.Since(begin))", "time.Now().Add(time.Hour)"}}, ""},
	{"when devices were seen is not written", false, []edit{
		{"fleet/sightings.go", "err := f.store.Observe(ctx, list)", "var err error"}}, ""},
	{"silent counts from the registration", false, []edit{
		{"fleet/devices.go", "Silent: device.LastSeen.Before(f.silentSince())", "Silent: device.Registered.Before(f.silentSince())"}}, ""},
	{"priorities of label layers do not count", false, []edit{
		{"fleet/sqlite/sqlite.go", `" ORDER BY priority, name"`, `" ORDER BY name"`}}, ""},
	{"revisions of before a restore are drawn again", false, []edit{
		{"fleet/sqlite/backup.go", "[]any{last, revisionGap}", "[]any{0, 0}"}}, ""},
	{"labels count as a change of the target", false, []edit{
		{"fleet/sqlite/sqlite.go", `"SELECT revision FROM history WHERE action <> 3 ORDER BY revision DESC LIMIT 1"`,
			`"SELECT revision FROM history ORDER BY revision DESC LIMIT 1"`}}, ""},
	{"a server offers a target that is older than what the device runs", true, []edit{
		{"fleet/fleet.go", "if targets := f.targets.Load(); revision <= targets.Revision {", "if targets := f.targets.Load(); true {"}}, ""},
	{"a server does not hear of what another was told", true, []edit{
		{"fleet/fleet.go", "if !notice.Own {", "if false {"},
		{"fleet/poll.go", "repeats && (!f.shared || report.Sequence != 0 || poll.Idle)", "repeats"}}, ""},
}

// TestMutants builds the server with each fault in turn, and wants the oracle to find it. It takes some minutes, and runs
// with ASPECTS_MUTANTS=1 only (make soak-mutants); -mutant chooses some by a pattern.
func TestMutants(t *testing.T) {
	if os.Getenv("ASPECTS_MUTANTS") != "1" {
		t.Skip("it builds the server many times: make soak-mutants")
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if !wanted.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			test, acts := "TestTruth$", "300"
			if m.two {
				test, acts = "TestTruthOfTwo$", "100"
			}
			arguments := []string{"test", "-count=1", "-overlay", overlay, "-run", test, ".", "-acts", acts, "-tries", "10"}
			if m.acts != "" {
				file := filepath.Join(t.TempDir(), "acts")
				if err := os.WriteFile(file, []byte(m.acts), 0o600); err != nil {
					t.Fatal(err)
				}
				arguments = append(arguments, "-replay", file)
			}
			for seed := 1; seed <= 3; seed++ {
				command := exec.Command("go", append(arguments, "-seed", fmt.Sprint(seed))...)
				output, err := command.CombinedOutput()
				if _, found, _ := strings.Cut(string(output), "which ends with"); err != nil && found != "" {
					t.Logf("seed %d: %s", seed, found)
					return
				} else if err != nil {
					t.Fatalf("%v: %s", err, output)
				}
			}
			t.Error("the oracle does not find it")
		})
	}
}

// overlay writes the changed files, and what tells the go command of them.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	server, err := filepath.Abs("../../server")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for i, edit := range m.edits {
		file := filepath.Join(server, filepath.FromSlash(edit.file))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), edit.old) != 1 {
			t.Fatalf("%s does not have %q once: the mutant needs mending", edit.file, edit.old)
		}
		replace[file] = filepath.Join(dir, fmt.Sprint(i, ".go"))
		changed := strings.Replace(string(text), edit.old, edit.new, 1)
		if err := os.WriteFile(replace[file], []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

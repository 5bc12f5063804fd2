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

	"aspects-poc/roles/fleetsim/oracle"
	"aspects-poc/roles/serverapi"
)

// A mutant is a fault that is put into the server on purpose.
type mutant struct {
	name  string
	where string // the test that has to find it
	edits []edit
	acts  string // that show it, where chance takes long to do so; "" for random ones
	other string // a pattern of what else it does, which is passed over
}

// Where mutants are looked for: with one server, with two on a file, with two on PostgreSQL.
const (
	alone    = "TestTruth"
	shared   = "TestTruthOfTwo"
	database = "TestTruthOnPostgres"
)

// An edit replaces a text that a file of roles/server has once.
type edit struct{ file, old, new string }

// mutants are what the oracle has to find. Each is a mistake that somebody could make.
var mutants = []mutant{
	{"a report is kept whatever its sequence", alone, []edit{
		{"fleet/poll.go", "report.Sequence != 0 && report.Sequence < device.Sequence {", "false {"},
		{"fleet/sqlite/reports.go", "if report.Sequence < sequence {", "if false {"}}, "", ""},
	{"a later report that says the same leaves the sequence as it was", alone, []edit{
		{"fleet/state.go", "case report.Sequence > d.Sequence:", "case false:"}}, "", ""},
	{"changed labels leave what is known of polls as it was", alone, []edit{
		{"fleet/fleet.go", "f.known.forget(devices)\n\tf.waiting", "f.waiting"}}, "", ""},
	{"who waits is not told of labels and of a layer of its own", alone, []edit{
		{"fleet/fleet.go", "\tf.waiting.wake(devices)\n", ""}}, "", ""},
	{"what was refused is offered again", alone, []edit{
		{"fleet/verdict.go", "return v.State != StateRefused", "return true"}}, "", ""},
	{"what failed is not offered again", alone, []edit{
		{"fleet/verdict.go", "return v.State != StateRefused", "return v.State != StateRefused && v.State != StateFailed"}}, "", ""},
	{"a drift is not seen", alone, []edit{
		{"fleet/verdict.go", "contradictions(t.tree, shown) == nil", "true"}}, "", ""},
	{"the hash of what runs is not compared", alone, []edit{
		{"fleet/verdict.go", "&& report.Running.Hash == t.Hash", ""}}, `
		{"do":"nothing"}
		{"do":"set", "layer":"device", "config":{"control-telemetry":{"monitor-peers":false}}}
		{"do":"set", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}}
		{"do":"delete"}`, ""},
	{"a verdict holds for later revisions too", alone, []edit{
		{"fleet/state.go", "case verdict.Revision == desired.Revision:", "case verdict.State != StateUnknown:"}}, "", ""},
	{"who does not say what it runs is judged at its polls only", alone, []edit{
		{"fleet/state.go", "if settled || !device.Mute() {", "if settled || !device.At.IsZero() {"}}, "", ""},
	{"no event tells of a report", alone, []edit{
		{"fleet/sqlite/reports.go", "kept = err == nil", "kept = false"}}, "", ""},
	{"counts are kept for an hour", alone, []edit{
		{"fleet/summary.go", "const leastSummary = time.Second", "const leastSummary = time.Hour"}}, "", ""},
	{"the page shows devices as they were up to an hour ago", alone, []edit{
		{"roster/roster.go", "time.Now().Add(share*r.took)", "time.Now().Add(time.Hour)"}}, "", ""},
	{"when devices were seen is not written", alone, []edit{
		{"fleet/sightings.go", "err := f.store.Observe(ctx, list)", "var err error"}}, "", ""},
	{"silent counts from the registration", alone, []edit{
		{"fleet/devices.go", "Silent: device.LastSeen.Before(f.silentSince())", "Silent: device.Registered.Before(f.silentSince())"}}, "", ""},
	{"priorities of label layers do not count", alone, []edit{
		{"fleet/sqlite/sqlite.go", `" ORDER BY priority, name"`, `" ORDER BY name"`}}, "", ""},
	{"revisions of before a restore are drawn again", alone, []edit{
		{"fleet/sqlite/backup.go", "[]any{last, revisionGap}", "[]any{0, 0}"}}, "", ""},
	{"labels count as a change of the target", alone, []edit{
		{"fleet/sqlite/sqlite.go", `"SELECT revision FROM history WHERE action IN (1, 2) ORDER BY revision DESC LIMIT 1"`,
			`"SELECT revision FROM history ORDER BY revision DESC LIMIT 1"`}}, "", ""},
	{"a release brings its change to every device at once", alone, []edit{
		{"fleet/gate.go", "return g != nil && g.concerns(id, labels) && g.stage(id, labels) == 0", "return false"}}, `
		{"do":"nothing"}
		{"do":"release", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}, "back":1}`, ""},
	{"the first stage of a release has all devices", alone, []edit{
		{"fleet/release/admission.go", "candidate.Seen && !candidate.Admitted && want > 0", "candidate.Seen"}}, `
		{"do":"nothing"}
		{"do":"release", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}, "back":1}`, ""},
	{"an undo leaves the layers of devices as they are", alone, []edit{
		{"fleet/release.go", "if was.Name.IsDevice() && gone(was.Name) {", "if was.Name.IsDevice() {"}}, `
		{"do":"nothing"}
		{"do":"release", "layer":"device", "device":1, "config":{"control-telemetry":{"sample-rate":3}}, "back":3}
		{"do":"undo"}`, ""},
	{"a stage begins that a person has to say go to", alone, []edit{
		{"fleet/release/move.go", "return slices.Contains(v.plan.Approve, v.at.Stage+1) && v.isOver()", "return false"}}, `
		{"do":"nothing"}
		{"do":"release", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}, "back":1}
		{"do":"nothing"}`, ""},
	{"a release goes on that a person has halted", alone, []edit{
		{"fleet/release/move.go", "inTime = []Phase{Rolling, Holding}", "inTime = []Phase{Rolling, Holding, Halted}"}}, `
		{"do":"nothing"}
		{"do":"release", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}, "back":4, "pause":1}
		{"do":"halt"}
		{"do":"nothing"}`, ""},
	{"devices that wait for a release get no other change", alone, []edit{
		{"fleet/gate.go", "concern.Revision = *concern.Waiting", "concern.Revision = min(*concern.Waiting, g.release.ID-1)"}}, `
		{"do":"set", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":2}}}
		{"do":"release", "layer":"everyone", "config":{"control-telemetry":{"sample-rate":3}}, "back":3}
		{"do":"set", "layer":"labels/one", "selector":"device.site=a", "config":{"control-telemetry":{"sample-rate":4}}}`, ""},
	{"a server offers a target that is older than what the device runs", shared, []edit{
		{"fleet/targeting.go", "begun := t.begun.Load()\n\tif targets := t.Load(); revision <= targets.Revision {", "begun := t.begun.Load()\n\tif targets := t.Load(); true {"}}, "", ""},
	{"a server does not hear of what another was told", shared, []edit{
		{"fleet/fleet.go", "if !notice.Own {", "if false {"},
		{"fleet/poll.go", "repeats && (!f.shared || report.Sequence != 0 || poll.Idle)", "repeats"}}, wavering(), ""},
	{"a verdict that waits to be written replaces what another server stored", shared, late, "", noEvent},
	{"a verdict that waits to be written replaces what another server stored in a database", database, late, "", ""},
}

// noEvent is what who follows events complains of.
const noEvent = `^it has [-0-9a-f]+ as "`

// wavering has all devices show something else for one poll, and then what they showed before, again and again.
func wavering() string {
	acts := []oracle.Act{{Do: "set", Layer: "everyone", Config: serverapi.Config{}}}
	for i := range 20 * 2 * 6 {
		act := oracle.Act{Do: "drift", Device: i % 6, Pause: 1,
			Config: serverapi.Config{"control-telemetry": map[string]any{"monitor-peers": i/6%2 > 0}}}
		switch i % 12 {
		case 5:
			act.Pause = 90
		case 11:
			act.Pause = 0
		}
		acts = append(acts, act)
	}
	return lines(acts)
}

// late has the verdict of a poll that says nothing new wait with the sightings, as it once did. What the same server hears
// of the device meanwhile is heeded; what another has stored meanwhile, for the same revision, is not.
var late = []edit{
	{"fleet/sightings.go", "\tstats *Stats\n}", `
	stats *Stats
	verdict Verdict
}

func (s *sightings) judge(id uuid.UUID, verdict Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, there := s.of[id]; there {
		last.verdict = verdict
		s.of[id] = last
	}
}
`},
	{"fleet/sightings.go", "Stats: seen.stats}", "Stats: seen.stats, Verdict: seen.verdict}"},
	{"fleet/store.go", "\tTwins time.Time  // when two machines were detected; zero means not detected", "\tTwins time.Time\n\tVerdict Verdict"},
	{"fleet/poll.go", "\tif offered || device.differs(report, target.wanted) {", `
	f.sightings.judge(id, Verdict{})
	if !device.Report.At.IsZero() && contentOf(device.Report, 0) == contentOf(report, 0) && report.Sequence <= device.Sequence {
		if device.Verdict != report.Verdict {
			f.sightings.add(id, now, nil)
			f.sightings.judge(id, report.Verdict)
		}
	} else if offered || device.differs(report, target.wanted) {`},
	{"fleet/sqlite/reports.go", "\tif _, err = s.writer.seen.ExecContext(", `
	if seen.Verdict.State != 0 {
		if _, err := s.writer.conn.ExecContext(ctx, "UPDATE standings SET state = ?1, verdict_revision = ?2 WHERE device = ?3 AND verdict_revision <= ?2",
			seen.Verdict.State, seen.Verdict.Revision, row); err != nil {
			return err
		}
	}
	if _, err = s.writer.seen.ExecContext(`},
	{"fleet/postgres/observe.go", "\t\t\t\tsights(&batch, lot)", `
				sights(&batch, lot)
				for _, seen := range lot {
					if seen.Verdict.State != 0 {
						batch.Queue("UPDATE standings s SET state = $2, verdict_revision = $3 FROM devices d" +
							" WHERE d.id = s.device AND d.uuid = $1 AND s.verdict_revision <= $3",
							seen.ID, int16(seen.Verdict.State), seen.Verdict.Revision)
					}
				}`},
}

// found is what a run says that finds something.
var found = regexp.MustCompile(`seed [0-9]+: after act ([0-9]+): (.*)`)

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
	var table strings.Builder
	for _, m := range mutants {
		if !wanted.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "mutant")
			build := exec.Command("go", "test", "-c", "-o", program, "-overlay", m.overlay(t), ".")
			if output, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			acts, seed, what := m.find(t, program)
			if what == "" {
				t.Error("the oracle does not find it")
				acts = "never"
			}
			fmt.Fprintf(&table, "%-80s %-20s %6s %4d  %.100s\n", m.name, m.where, acts, seed, what)
		})
	}
	t.Logf("what was put in, where it was looked for, after how many acts it was found, with which seed, and who found what\n%s", &table)
}

// find runs the mutant with one seed after the other until it is found.
func (m mutant) find(t *testing.T, program string) (acts string, seed int, what string) {
	arguments := []string{"-test.run", m.where + "$", "-runs", "1", "-acts", "300", "-tries", "0", "-excuse", m.other}
	if m.acts != "" {
		file := filepath.Join(t.TempDir(), "acts")
		if err := os.WriteFile(file, []byte(m.acts), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "-replay", file)
	}
	for seed = 1; seed <= 5; seed++ {
		command := exec.Command(program, append(arguments, "-seed", fmt.Sprint(seed))...)
		output, err := command.CombinedOutput()
		if match := found.FindStringSubmatch(string(output)); match != nil {
			return match[1], seed, match[2]
		} else if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	return "", seed, ""
}

// overlay writes the changed files, and what tells the go command of them.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	server, err := filepath.Abs("../../server")
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]string{} // texts of files
	for _, edit := range m.edits {
		file := filepath.Join(server, filepath.FromSlash(edit.file))
		if changed[file] == "" {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			changed[file] = string(text)
		}
		if strings.Count(changed[file], edit.old) != 1 {
			t.Fatalf("%s does not have %q once: the mutant needs mending", edit.file, edit.old)
		}
		changed[file] = strings.Replace(changed[file], edit.old, edit.new, 1)
	}
	replace := map[string]string{}
	for file, text := range changed {
		replace[file] = filepath.Join(dir, fmt.Sprint(len(replace), ".go"))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
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

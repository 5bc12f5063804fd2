package control_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/control"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

const home = "127.0.0.1:8000" // the server of the default configuration

// A member is a device of a fleet whose server is a model.
type member struct {
	t *testing.T
	*device
	server *model
	wire   *wire
	// replace is in place of durable.Write.
	replace func(path string, content []byte, mode os.FileMode) error
	random  func() float64
	options rolestest.Options
}

func newMember(t *testing.T) *member {
	m := &member{t: t, device: newDevice(t), server: newModel()}
	m.wire = &wire{servers: map[string]http.RoundTripper{home: m.server}}
	m.replace = quickly
	return m
}

// quickly replaces a file as durable.Write does, but for what costs time and only a power cut would tell.
func quickly(path string, content []byte, mode os.FileMode) error {
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// use makes the next process find another registry.
func (m *member) use(options rolestest.Options) {
	options.Env = map[string]string{"SNAP_COMMON": m.dir} // where counters are where there are hooks
	m.options = options
}

func (m *member) start(words ...string) *rolestest.Run {
	role := control.RoleOn(control.Machine{Transport: m.wire, NewKey: key, Replace: m.replace, Random: m.random})
	return m.Start(role, m.options, append([]string{"control", "run", "--state", m.dir,
		"--server-host", "192.0.2.1"}, words...)...)
}

func (m *member) once(t *testing.T, code int, words ...string) *rolestest.Run {
	t.Helper()
	run := m.start(append([]string{"--once"}, words...)...)
	if got := run.Wait(); got != code {
		t.Errorf("exit status %d, want %d: %s", got, code, run.Err)
	}
	return run
}

// agree looks at what server and device say of each other, and returns the server's part.
func (m *member) agree(t *testing.T) memory {
	t.Helper()
	kept, journal := m.server.backup(), journalOf(t, m.dir)
	if journal.Attempt != nil {
		t.Errorf("an attempt is still under way: %+v", journal.Attempt)
	}
	if own := named(journal.Running); own != kept.running {
		t.Errorf("the device runs %v, the server believes %v", own, kept.running)
	}
	report := journal.Report()
	if report.Attempted != nil && *report.Attempted != kept.attempted {
		t.Errorf("the device attempted %+v, the server believes %+v", *report.Attempted, kept.attempted)
	}
	return kept
}

func TestReport(t *testing.T) {
	m := newMember(t)
	wanted := m.server.want(telemetry(map[string]any{"sample-rate": 6, "monitor-peers": nil}))
	m.once(t, 0, "--seed", "1")
	kept := m.agree(t)
	if kept.running != wanted || kept.attempted.Outcome != serverapi.Applied || kept.attempted.Revision != 1 {
		t.Errorf("the server believes %+v", kept)
	}
	first := m.server.reports[0]
	peers := int64(3)
	sent := first.Stats.Packets["eth0"].Sent
	want := serverapi.Report{Sequence: first.Sequence, Instance: first.Instance, Stats: &serverapi.Stats{At: first.Stats.At, Peers: &peers, Packets: first.Stats.Packets}}
	if diff := cmp.Diff(want, first); diff != "" || len(first.Stats.Packets) != 2 || sent == 0 || first.Stats.At == 0 ||
		first.Sequence == 0 || first.Instance == "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	last := kept.sequence
	for range 2 {
		m.once(t, 0) // no other target, but other counters
		kept := m.agree(t)
		if kept.sequence <= last || kept.running != wanted {
			t.Errorf("the server believes %+v, sequence was %d", kept, last)
		}
		last = kept.sequence
	}
	// A revision that asks for nothing new runs at once.
	wanted = m.server.want(telemetry(map[string]any{"sample-rate": 6, "monitor-peers": nil}))
	run := m.once(t, 0)
	if kept := m.agree(t); kept.running != wanted || kept.sequence <= last || strings.Contains(run.Out.String(), "Target") {
		t.Errorf("the server believes %+v; output\n%s", kept, run.Out)
	}
	// What a revision says nothing of any more is as before the first one.
	wanted = m.server.want(telemetry(map[string]any{"sample-rate": 6}))
	run = m.once(t, 0)
	if kept := m.agree(t); kept.running != wanted || !strings.Contains(run.Out.String(), "Target applied to control-telemetry: monitor-peers=true.") {
		t.Errorf("the server believes %+v; output\n%s", kept, run.Out)
	}
}

func TestRefusedRevision(t *testing.T) {
	m := newMember(t)
	good := m.server.want(telemetry(map[string]any{"sample-rate": 6}))
	m.once(t, 0)
	m.server.want(telemetry(map[string]any{"sample-rate": -3, "monitor-peers": false}))
	run := m.once(t, 1)
	if !strings.Contains(run.Err.String(), `cannot accept element in "metrics.sample-rate": -3 is less`) {
		t.Errorf("error is %s", run.Err)
	}
	kept := m.agree(t)
	want := serverapi.Attempted{Revision: 2, Outcome: serverapi.Refused, Path: "metrics.sample-rate",
		Reason: "-3 is less than the allowed minimum 0", At: kept.attempted.At}
	if diff := cmp.Diff(want, kept.attempted); diff != "" || kept.running != good {
		t.Errorf("running %v, (-want +got)\n%s", kept.running, diff)
	}
	polls := m.server.count().polls
	m.once(t, 1) // it is not offered again, and still what the server wants
	if m.server.count().polls != polls+1 {
		t.Errorf("%d polls", m.server.count().polls-polls)
	}
	m.server.want(telemetry(map[string]any{"sample-rate": 5}))
	m.once(t, 0)
	m.agree(t)
	m.expect(t, `{"sample-rate":5}`, network.ControlTelemetryView, "sample-rate")
}

// TestRefusedUnsigned: a device that has refused a target because nobody has signed it tries that again once its keys of operators are
// removed, and also if other keys take their place.
func TestRefusedUnsigned(t *testing.T) {
	m := newMember(t)
	keys := filepath.Join(t.TempDir(), "operators")
	public := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZ6OKw0dHc4KtSsgpzlx9TCljIQkK5mgtTQqu24aMiX"
	if err := os.WriteFile(keys, []byte("anna@example.com "+public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	end := func() {
		t.Helper()
		if err := os.Remove(filepath.Join(m.dir, "operators.json")); err != nil {
			t.Fatal(err)
		}
	}
	wanted := m.server.want(telemetry(map[string]any{"sample-rate": 6}))
	m.once(t, 1, "--operator-keys", keys)
	refused := m.agree(t)
	if refused.attempted.Outcome != serverapi.Refused || refused.running == wanted {
		t.Fatalf("the server believes %+v", refused)
	}
	m.once(t, 1, "--operator-keys", keys)
	if kept := m.agree(t); kept.sequence < refused.sequence || kept.attempted != refused.attempted {
		t.Errorf("the server believes %+v", kept)
	}
	if err := os.WriteFile(keys, []byte("berta@example.com "+public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	end()
	polls := m.server.count().polls
	m.once(t, 1, "--operator-keys", keys)
	if kept := m.agree(t); kept.attempted.Outcome != serverapi.Refused || m.server.count().polls != polls+2 {
		t.Errorf("%d polls; the server believes %+v", m.server.count().polls-polls, kept)
	}
	end()
	m.once(t, 0)
	if kept := m.agree(t); kept.running != wanted {
		t.Errorf("the server believes %+v", kept)
	}
	m.expect(t, `{"sample-rate":6}`, network.ControlTelemetryView, "sample-rate")
}

// TestUnconfirmed: a target after which the server cannot be reached is taken back, told as failed, and tried again ever
// less often; what others have changed meanwhile stays.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]rolestest.Options{
		"one transaction": {}, "view by view": {Plain: true}, "hooks": {Hooks: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMember(t)
				m.use(options)
				good := m.server.want(telemetry(map[string]any{"sample-rate": 6}))
				run := m.start()
				time.Sleep(5 * time.Minute)
				m.agree(t)
				bad := m.server.want(serverapi.Config{
					network.ControlDeviceView:    map[string]any{"server-url": "http://192.0.2.1:81"},
					network.ControlTelemetryView: map[string]any{"sample-rate": 9, "monitor-peers": nil},
					network.ControlTunnelView:    map[string]any{"peers": []any{"10.0.0.1"}},
				})
				time.Sleep(time.Minute)
				m.expect(t, `{"server-url":"http://192.0.2.1:81"}`, network.ControlDeviceView)
				m.Set(network.ControlTunnelView, map[string]any{"peers": []any{"10.0.0.2"}})
				time.Sleep(2*time.Minute + 30*time.Second)
				m.expect(t, `{"server-url":"http://127.0.0.1:8000"}`, network.ControlDeviceView)
				m.expect(t, `{"monitor-packets-received":false,"monitor-packets-sent":true,"monitor-peers":true,"sample-rate":6}`,
					network.ControlTelemetryView)
				m.expect(t, `{"peers":["10.0.0.2"]}`, network.ObserveTunnelView)
				kept := m.agree(t)
				if kept.running != good || kept.attempted.Outcome != serverapi.Failed || kept.attempted.Revision != bad.revision ||
					!strings.Contains(kept.attempted.Reason, "not reached within 3m0s of it: cannot poll: no answer from http://192.0.2.1:81") {
					t.Errorf("the server believes %+v", kept)
				}
				time.Sleep(6 * time.Hour)
				if told := strings.Count(run.Out.String(), "Target applied to control-device"); told < 5 || told > 14 {
					t.Errorf("tried %d times", told)
				}
				// The server is there now.
				m.wire.mu.Lock()
				m.wire.servers["192.0.2.1:81"] = m.server
				m.wire.mu.Unlock()
				time.Sleep(2 * time.Hour)
				if kept := m.agree(t); kept.running != bad {
					t.Errorf("the server believes %+v", kept)
				}
				m.expect(t, `{"server-url":"http://192.0.2.1:81"}`, network.ControlDeviceView)
				run.Stop()
			})
		})
	}
}

// TestUnconfirmedOnce does the same in one cycle.
func TestUnconfirmedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.once(t, 0)
		m.server.want(serverapi.Config{network.ControlDeviceView: map[string]any{"server-url": "http://192.0.2.1:81"}})
		begun := time.Now()
		run := m.once(t, 1, "--confirm-within", "10s")
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
		if !strings.Contains(run.Out.String(), `Target taken back from control-device: server-url="http://127.0.0.1:8000".`) ||
			!strings.Contains(run.Err.String(), "not reached within 10s") {
			t.Errorf("output %s, error %s", run.Out, run.Err)
		}
		if kept := m.agree(t); kept.attempted.Outcome != serverapi.Failed || kept.running != (target{}) {
			t.Errorf("the server believes %+v", kept)
		}
	})
}

// TestMove moves the device to a server that does not know it yet, and back by hand.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, other := newMember(t), newModel()
		m.wire.servers["127.0.0.1:9000"] = other
		run := m.start()
		time.Sleep(2 * time.Minute)
		identity := m.JSON(network.ObserveDeviceView)
		m.server.want(serverapi.Config{network.ControlDeviceView: map[string]any{"server-url": "http://127.0.0.1:9000"}})
		other.want(telemetry(map[string]any{"sample-rate": 3}))
		time.Sleep(2 * time.Minute)
		m.expect(t, `{"sample-rate":3}`, network.ControlTelemetryView, "sample-rate")
		if moved := m.JSON(network.ObserveDeviceView); moved == identity || len(other.backup().registers) != 1 {
			t.Errorf("still %s", moved)
		}
		if kept := other.backup(); kept.running != kept.desired {
			t.Errorf("the other server believes %+v", kept)
		}
		// Back by hand, while a poll is held: who the device was with the first server is known still.
		m.server.want(telemetry(map[string]any{"sample-rate": 4}))
		m.Set(network.ControlDeviceView, map[string]any{"server-url": "http://" + home})
		time.Sleep(time.Second)
		m.expect(t, identity, network.ObserveDeviceView)
		m.expect(t, `{"sample-rate":4}`, network.ControlTelemetryView, "sample-rate")
		if kept := m.agree(t); kept.running != kept.desired || len(kept.registers) != 1 {
			t.Errorf("the server believes %+v", kept)
		}
		run.Stop()
	})
}

// TestRestoredServer: a server that was restored from a backup asks for less than the device runs, and is obeyed.
func TestRestoredServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		run := m.start()
		time.Sleep(time.Minute)
		m.server.want(telemetry(map[string]any{"sample-rate": 3}))
		time.Sleep(time.Minute)
		backup := m.server.backup()
		m.server.want(telemetry(map[string]any{"sample-rate": 4}))
		time.Sleep(time.Minute)
		m.server.want(telemetry(map[string]any{"sample-rate": -4}))
		time.Sleep(time.Minute)
		m.agree(t)
		m.server.restore(backup)
		time.Sleep(2 * time.Minute)
		if kept := m.agree(t); kept.running != backup.desired {
			t.Errorf("the server believes %+v", kept)
		}
		m.expect(t, `{"sample-rate":3}`, network.ControlTelemetryView, "sample-rate")
		m.server.want(telemetry(map[string]any{"sample-rate": 5})) // the same number as before, another target
		time.Sleep(2 * time.Minute)
		if kept := m.agree(t); kept.running != kept.desired || kept.running.revision != 2 {
			t.Errorf("the server believes %+v", kept)
		}
		run.Stop()
	})
}

// TestBusyServer: a server that says it is too busy was reached; nothing is taken back for that.
func TestBusyServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		busy := false
		m.replace = quickly
		m.wire.servers[home] = roundTrip(func(request *http.Request) (*http.Response, error) {
			answer, err := m.server.RoundTrip(request)
			if err == nil && request.URL.Path == "/poll/" && answer.StatusCode == http.StatusOK && !busy {
				busy = true
				m.server.mu.Lock()
				m.server.busy = 5 * time.Minute
				m.server.mu.Unlock()
			}
			return answer, err
		})
		run := m.start()
		time.Sleep(time.Minute)
		wanted := m.server.want(telemetry(map[string]any{"sample-rate": 3}))
		time.Sleep(10 * time.Minute)
		m.expect(t, `{"sample-rate":3}`, network.ControlTelemetryView, "sample-rate")
		m.server.mu.Lock()
		m.server.busy = 0
		m.server.mu.Unlock()
		time.Sleep(20 * time.Minute)
		if kept := m.agree(t); kept.running != wanted || kept.attempted.Outcome != serverapi.Applied {
			t.Errorf("the server believes %+v", kept)
		}
		if strings.Contains(run.Out.String(), "taken back") {
			t.Errorf("output is\n%s", run.Out)
		}
		run.Stop()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestFullDisk: what could not be undone after a crash is not begun, and the server hears why.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		run := m.start()
		time.Sleep(time.Minute)
		run.Stop()
		m.replace = func(path string, _ []byte, _ os.FileMode) error {
			return fmt.Errorf("cannot write %s: no space left on device", path)
		}
		wanted := m.server.want(telemetry(map[string]any{"sample-rate": 3}))
		run = m.start()
		time.Sleep(3 * time.Minute)
		m.expect(t, `{"sample-rate":2}`, network.ControlTelemetryView, "sample-rate")
		if kept := m.server.backup(); kept.attempted.Outcome != serverapi.Failed || kept.running != (target{}) ||
			!strings.HasSuffix(kept.attempted.Reason, "target.json: no space left on device") {
			t.Errorf("the server believes %+v", kept)
		}
		if log := run.Err.String(); strings.Count(log, "targets cannot be applied") != 1 {
			t.Errorf("log is\n%s", log)
		}
		run.Stop()
		m.replace = quickly
		run = m.start()
		time.Sleep(5 * time.Minute)
		if kept := m.agree(t); kept.running != wanted {
			t.Errorf("the server believes %+v", kept)
		}
		run.Stop()
	})
}

// TestDamagedJournal: nothing is applied, and nothing claimed.
func TestDamagedJournal(t *testing.T) {
	m := newMember(t)
	m.once(t, 0)
	path := filepath.Join(m.dir, "target.json")
	if err := os.WriteFile(path, []byte(`{"running":`), 0o600); err != nil {
		t.Fatal(err)
	}
	m.server.want(telemetry(map[string]any{"sample-rate": 3}))
	run := m.once(t, 1)
	if !strings.Contains(run.Err.String(), path) {
		t.Errorf("the file is not named: %s", run.Err)
	}
	m.expect(t, `{"sample-rate":2}`, network.ControlTelemetryView, "sample-rate")
	if kept := m.server.backup(); kept.attempted.Revision != 0 {
		t.Errorf("the server believes %+v", kept)
	}
}

// TestSecondProcess leaves targets to the process that applies them already.
func TestSecondProcess(t *testing.T) {
	m := newMember(t)
	m.once(t, 0)
	lock := flock.New(filepath.Join(m.dir, "target.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	m.server.want(telemetry(map[string]any{"sample-rate": 3}))
	m.once(t, 0)
	m.expect(t, `{"sample-rate":2}`, network.ControlTelemetryView, "sample-rate")
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	m.once(t, 0)
	m.expect(t, `{"sample-rate":3}`, network.ControlTelemetryView, "sample-rate")
	m.agree(t)
}

// TestWrongHash: a target that is not what its hash names is not applied.
func TestWrongHash(t *testing.T) {
	m := newMember(t)
	m.once(t, 0)
	m.server.want(telemetry(map[string]any{"sample-rate": 3}))
	m.server.targets[m.server.memory.desired] = telemetry(map[string]any{"sample-rate": 4})
	run := m.once(t, 1)
	if !strings.Contains(run.Err.String(), "cannot use the target of http://127.0.0.1:8000: its hash is sha-256=") {
		t.Errorf("error is %s", run.Err)
	}
	m.expect(t, `{"sample-rate":2}`, network.ControlTelemetryView, "sample-rate")
}

// TestRegistryAway: a write that fails for something that time mends is found out about, told, and tried again.
func TestRegistryAway(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written=%v", written), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMember(t)
				m.once(t, 0)
				left := 0
				m.options = rolestest.Options{Write: func(write func() error) error {
					if left--; left != 0 {
						return write()
					}
					if written {
						if err := write(); err != nil {
							return err
						}
					}
					return &registry.Error{Op: "set", Kind: registry.ErrUnknown, Reason: "the answer was lost"}
				}}
				left = 2 // the counters first
				wanted := m.server.want(telemetry(map[string]any{"sample-rate": 3}))
				run := m.start()
				time.Sleep(40 * time.Second)
				kept := m.agree(t)
				switch {
				case written && (kept.running != wanted || kept.attempted.Outcome != serverapi.Applied),
					!written && (kept.running == wanted || kept.attempted.Outcome != serverapi.Failed ||
						!strings.Contains(kept.attempted.Reason, "the answer was lost")):
					t.Errorf("the server believes %+v; log\n%s", kept, run.Err)
				}
				time.Sleep(5 * time.Minute)
				if kept := m.agree(t); kept.running != wanted {
					t.Errorf("the server believes %+v", kept)
				}
				run.Stop()
			})
		})
	}
}

// TestNotPutBack: where the way back is barred too, the device claims to run neither target.
func TestNotPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.server.want(telemetry(map[string]any{"sample-rate": 4}))
		m.once(t, 0)
		writes := 0
		m.options = rolestest.Options{Write: func(write func() error) error {
			if writes++; writes == 3 { // after the counters and the target
				return &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: "not that way"}
			}
			return write()
		}}
		m.server.want(serverapi.Config{network.ControlDeviceView: map[string]any{"server-url": "http://192.0.2.1:81"}})
		m.once(t, 1, "--confirm-within", "10s")
		m.Set(network.ControlDeviceView, map[string]any{"server-url": "http://" + home})
		m.once(t, 1, "--confirm-within", "10s")
		var unclear bool
		for _, report := range m.server.reports {
			unclear = unclear || report.Running == nil && report.Attempted != nil &&
				strings.Contains(report.Attempted.Reason, "could not be put back: cannot set: not that way")
		}
		if !unclear {
			t.Errorf("reports are %+v", m.server.reports)
		}
	})
}

// TestRivals: a device whose held polls end at once, since another machine polls with its key, polls as often as others.
func TestRivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.server.rivals = true
		run := m.start()
		time.Sleep(time.Hour + 30*time.Second)
		if polls := m.server.count().polls; polls < 58 || polls > 64 {
			t.Errorf("%d polls in an hour", polls)
		}
		run.Stop()
	})
}

// TestHeld: a target is heard of at once, with no more polls than without.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		run := m.start()
		time.Sleep(time.Hour + 30*time.Second)
		if polls := m.server.count().polls; polls < 58 || polls > 64 {
			t.Errorf("%d polls in an hour", polls)
		}
		for i := range 3 {
			time.Sleep(17 * time.Second)
			m.server.want(telemetry(map[string]any{"sample-rate": 10 + i}))
			time.Sleep(time.Millisecond)
			synctest.Wait()
			m.expect(t, fmt.Sprintf(`{"sample-rate":%d}`, 10+i), network.ControlTelemetryView, "sample-rate")
		}
		run.Stop()
	})
	for name, change := range map[string]func(m *member) (words []string){
		"not by the server": func(m *member) []string { m.server.waits = false; return nil },
		"not by the device": func(*member) []string { return []string{"--wait=false"} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMember(t)
				run := m.start(change(m)...)
				time.Sleep(time.Hour + 30*time.Second)
				if polls := m.server.count().polls; polls < 58 || polls > 64 || m.server.count().held > 0 {
					t.Errorf("%d polls in an hour, %d held", polls, m.server.count().held)
				}
				run.Stop()
			})
		})
	}
}

// TestCutOff is with a proxy that cuts connections on which nothing happens for 30 seconds: nobody is told, and polls are
// held less long.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.server.most = 30 * time.Second
		run := m.start()
		time.Sleep(time.Hour)
		if log := run.Err.String(); strings.Contains(log, "not reached") || m.server.count().held < 30 {
			t.Errorf("%d polls were held; log is\n%s", m.server.count().held, log)
		}
		run.Stop()
	})
}

// TestPollInterval: the server's is obeyed, and kept over restarts, after which the first poll comes by chance within it.
func TestPollInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.server.interval, m.server.waits = 10*time.Minute, false
		run := m.start()
		time.Sleep(10 * time.Hour)
		if polls := m.server.count().polls; polls < 55 || polls > 66 {
			t.Errorf("%d polls in ten hours", polls)
		}
		run.Stop()
		before := m.server.count().polls
		m.random = func() float64 { return 0.9 }
		run = m.start()
		time.Sleep(9*time.Minute - time.Second)
		if polls := m.server.count().polls - before; polls != 0 {
			t.Errorf("%d polls at once", polls)
		}
		time.Sleep(2 * time.Second)
		if polls := m.server.count().polls - before; polls != 1 {
			t.Errorf("%d polls", polls)
		}
		run.Stop()
	})
}

var errDead = errors.New("this process is dead")

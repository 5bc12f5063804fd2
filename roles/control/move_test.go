package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

func serverAt(url any) serverapi.Config {
	return serverapi.Config{network.ControlDeviceView: map[string]any{"server-url": url}}
}

// TestMoveRefused: the device's own settings say where a target may move it.
func TestMoveRefused(t *testing.T) {
	for _, test := range []struct{ from, to, reason string }{
		{"http://" + home, "http://192.0.2.2:81", `does not allow the server "192.0.2.2"`},
		{"http://" + home, "https://Fleet.Example", `does not allow the server "fleet.example"`},
		{"http://" + home, "http://192.0.2.1.example", `does not allow the server "192.0.2.1.example"`},
		{"http://" + home, "http://192.0.2.1@192.0.2.2", "must not carry a user name"},
		{"http://" + home, "ftp://192.0.2.1", `must begin with "http://" or "https://"`},
		{"https://" + home, "http://" + home, "from https to http"},
		{"https://" + home, "http://192.0.2.1:81", "from https to http"},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMember(t)
			m.wire.servers["192.0.2.2:81"] = newModel()
			m.Set(network.ControlDeviceView, map[string]any{"server-url": test.from})
			m.server.want(serverAt(test.to))
			m.once(t, 1)
			m.expect(t, fmt.Sprintf(`{"server-url":%q}`, test.from), network.ControlDeviceView)
			kept := m.agree(t)
			if kept.attempted.Outcome != serverapi.Refused || !strings.Contains(kept.attempted.Reason, test.reason) {
				t.Errorf("%s to %s: the server believes %+v", test.from, test.to, kept.attempted)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		m.once(t, 0)
		m.server.want(serverAt(nil))
		m.once(t, 1)
		if kept := m.agree(t); kept.attempted.Outcome != serverapi.Refused || kept.attempted.Path != "control-device.server-url" {
			t.Errorf("without a server: the server believes %+v", kept.attempted)
		}
	})
	newMember(t).once(t, 2, "--server-host", "http://192.0.2.1")
	newMember(t).once(t, 2, "--server-host", "192.0.2.1:81")
}

// TestMoveUnproven: answers of somebody who does not know the device confirm no move, and no other target of a server
// that has proved itself before. The device goes back, and says why.
func TestMoveUnproven(t *testing.T) {
	for _, test := range []struct {
		portal  int
		replays bool
	}{{204, false}, {200, false}, {204, true}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, other := newMember(t), newModel()
				other.answerAs(test.portal)
				other.replays = test.replays
				m.wire.servers["192.0.2.1:81"] = other
				run := m.start()
				time.Sleep(2 * time.Minute)
				m.server.want(serverAt("http://192.0.2.1:81"))
				time.Sleep(3*time.Minute + 20*time.Second)
				m.expect(t, `{"server-url":"http://127.0.0.1:8000"}`, network.ControlDeviceView)
				kept := m.agree(t)
				if kept.attempted.Outcome != serverapi.Failed || kept.running != (target{}) || !strings.Contains(kept.attempted.Reason,
					"the answer of http://192.0.2.1:81 does not prove that a fleet server knows this device and its target") {
					t.Errorf("the server believes %+v", kept)
				}
				if journal := journalOf(t, m.dir); journal.PollInterval != 60 {
					t.Errorf("the portal's interval of polls is believed: %d", journal.PollInterval)
				}
				run.Stop()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		m := newMember(t)
		run := m.start("--wait=false")
		time.Sleep(2 * time.Minute)
		m.server.want(telemetry(map[string]any{"sample-rate": 5}))
		m.wire.onClaim(func(running target) { m.server.answerAs(204 * min(1, int(running.revision))) })
		time.Sleep(2 * time.Minute)
		if journal := journalOf(t, m.dir); journal.Attempt == nil {
			t.Error("a portal has confirmed the target")
		}
		m.wire.onClaim(nil)
		m.server.answerAs(0)
		time.Sleep(2 * time.Minute)
		if kept := m.agree(t); kept.running != kept.desired {
			t.Errorf("the server believes %+v", kept)
		}
		run.Stop()
	})
}

// TestMoveToken: a server that a target names gets no enrolment token, then or later; one that is set on the device does.
func TestMoveToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, second, third := newMember(t), newModel(), newModel()
		m.wire.servers["127.0.0.1:9000"], m.wire.servers["192.0.2.1:81"] = second, third
		run := m.start("--enrolment-token", "first")
		time.Sleep(2 * time.Minute)
		m.server.want(serverAt("http://127.0.0.1:9000"))
		time.Sleep(2 * time.Minute)
		second.restore(newModel().memory) // and forgets the device
		time.Sleep(2 * time.Minute)
		second.want(serverAt("http://192.0.2.1:81"))
		time.Sleep(2 * time.Minute)
		run.Stop()
		third.restore(newModel().memory)
		run = m.start("--enrolment-token", "first")
		time.Sleep(3 * time.Minute)
		run.Stop()
		third.restore(newModel().memory)
		run = m.start("--enrolment-token", "second") // the device has another one for the server where it is
		time.Sleep(3 * time.Minute)
		run.Stop()
		for _, test := range []struct {
			server *model
			want   []string
		}{{m.server, []string{"first"}}, {second, []string{"", ""}}, {third, []string{"", "", "second"}}} {
			if !slices.Equal(test.server.tokens, test.want) {
				t.Errorf("got tokens %q, want %q", test.server.tokens, test.want)
			}
		}
	})
}

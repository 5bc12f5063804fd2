package control_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// A crash ends a process at one of its steps: what is written to the state directory or the registry, and what is said
// to the server. From then on nothing that the process does has any effect.
type crash struct {
	mu    sync.Mutex // guards all below
	left  int        // steps before the last one; less than 0: it never dies
	after bool       // the last step is done
	dead  bool
	died  func()
	at    string
}

func (c *crash) step(what string, do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errDead
	}
	if c.left != 0 {
		c.left--
		return do()
	}
	c.dead, c.at = true, what
	go c.died()
	if c.after {
		_ = do()
	}
	return errDead
}

// crashing makes a member's next process die at a step.
func (m *member) crashing(c *crash) {
	m.options.Write = func(write func() error) error { return c.step("registry", write) }
	m.replace = func(path string, content []byte, mode os.FileMode) error {
		return c.step(path[strings.LastIndexByte(path, '/')+1:], func() error { return quickly(path, content, mode) })
	}
	server := m.server
	m.wire.servers[home] = roundTrip(func(request *http.Request) (answer *http.Response, err error) {
		// Not held: a step is a moment. What the server says of its holding is left to others.
		request.Header.Del("Prefer")
		failed := c.step("server", func() error {
			answer, err = server.RoundTrip(request)
			return nil
		})
		if failed != nil {
			return nil, failed
		}
		return answer, err
	})
}

// A scenario is something that a server asks for, on a device that runs scenarioBase.
type scenario struct {
	name    string
	target  serverapi.Config
	options rolestest.Options
	outcome string
}

var scenarioBase = serverapi.Config{
	network.ControlTelemetryView:  map[string]any{"sample-rate": 6, "monitor-peers": true},
	network.ControlTunnelView:     map[string]any{"peers": []any{"10.0.0.1"}, "interface": "eth0"},
	network.ControlInterfacesView: map[string]any{"config": map[string]any{"wlan0": map[string]any{"ip-address": "10.1.1.1"}}},
}

// moved needs an order where views are written one by one: the new interface first, then the tunnel.
var moved = serverapi.Config{
	network.ControlTelemetryView: map[string]any{"sample-rate": 9, "monitor-peers": nil},
	network.ControlTunnelView:    map[string]any{"peers": []any{"10.0.0.7", "10.0.0.8"}, "interface": "usb0"},
	network.ControlInterfacesView: map[string]any{"config": map[string]any{
		"usb0": map[string]any{"interface-type": "ethernet", "ip-address": "10.2.2.2"}}},
}

func lostWith(config serverapi.Config) serverapi.Config {
	lost := serverapi.Config{network.ControlDeviceView: map[string]any{"server-url": "http://192.0.2.1:81"}}
	for view, values := range config {
		lost[view] = values
	}
	return lost
}

func scenarios() []scenario {
	tooMany := &registry.Error{Op: "set", Kind: registry.ErrRejected, Reason: "cust rejected changes: too many"}
	byView := rolestest.Options{Plain: true}
	return []scenario{
		{"good", moved, rolestest.Options{}, serverapi.Applied},
		{"good, view by view", moved, byView, serverapi.Applied},
		{"good, with hooks", moved, rolestest.Options{Hooks: true}, serverapi.Applied},
		{"out of reach", lostWith(moved), rolestest.Options{}, serverapi.Failed},
		{"out of reach, view by view", lostWith(moved), byView, serverapi.Failed},
		{"against the schema", telemetry(map[string]any{"sample-rate": -1}), byView, serverapi.Refused},
		{"refused half way", moved, rolestest.Options{Plain: true, Refuse: map[string]error{
			network.ControlTunnelView: tooMany}}, serverapi.Refused},
	}
}

// satisfies reports whether the registry shows a target, and says what it shows.
func (m *member) satisfies(config serverapi.Config) (ok bool, shown string) {
	views := shownBy(m.device, network.ControlDeviceView, network.ControlTelemetryView, network.ControlTunnelView,
		network.ControlInterfacesView)
	for view, values := range config {
		if !holds(values, views[view]) {
			return false, fmt.Sprint(views)
		}
	}
	return true, fmt.Sprint(views)
}

// holds is within with null for what must not be there.
func holds(wanted, shown any) bool {
	object, ok := wanted.(map[string]any)
	if !ok {
		return wanted == nil && shown == nil || wanted != nil && within(wanted, shown)
	}
	found, _ := shown.(map[string]any)
	for key, value := range object {
		if !holds(value, found[key]) {
			return false
		}
	}
	return true
}

// TestCrash kills the role at each of its steps while it applies a target, once before and once after the step, and
// starts it again. Nothing that is reported is untrue, nothing stays half applied, and server and device agree in the
// end; counters never go back, and what others have changed stays.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, scenario := range scenarios() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after=%v", scenario.name, after), func(t *testing.T) {
				t.Parallel()
				steps := 0
				for crashed := true; crashed; steps++ {
					synctest.Test(t, func(t *testing.T) { crashed = crashAt(t, scenario, steps, after) })
				}
				if steps < 5 {
					t.Errorf("there were only %d steps", steps)
				}
			})
		}
	}
}

// mostSteps is well beyond those of an attempt; behind it there are only counts and polls.
const mostSteps = 16

// crashAt reports whether there was such a step.
func crashAt(t *testing.T, scenario scenario, step int, after bool) bool {
	m := newMember(t)
	m.use(rolestest.Options{Plain: scenario.options.Plain, Hooks: scenario.options.Hooks})
	base := m.server.want(scenarioBase)
	run := m.start("--interval", "1m")
	time.Sleep(2 * time.Minute)
	run.Stop()
	if kept := m.agree(t); kept.running != base {
		t.Fatalf("the server believes %+v", kept)
	}
	m.use(scenario.options)
	wanted := m.server.want(scenario.target)

	c := &crash{left: step, after: after}
	m.crashing(c)
	m.truthful(t)
	c.mu.Lock()
	dying := m.start("--interval", "1m", "--confirm-within", "1m")
	c.died = dying.Interrupt
	c.mu.Unlock()
	for range 20 {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c.isDead() {
			break
		}
	}
	crashed := c.isDead()
	c.kill()
	dying.Stop()
	packets := m.packets()
	m.Set(network.ControlTelemetryView, map[string]any{"monitor-packets-received": true}) // somebody else, meanwhile

	m.use(scenario.options)
	m.replace = quickly
	m.wire.servers[home] = m.server
	m.truthful(t)
	run = m.start("--interval", "1m", "--confirm-within", "1m")
	time.Sleep(5 * time.Minute)
	for journalOf(t, m.dir).Attempt != nil { // a failed one is tried again
		time.Sleep(20 * time.Second)
	}
	run.Stop()
	where := fmt.Sprintf("step %d (%s)", step, c.at)
	kept := m.agree(t)
	if kept.attempted.Outcome != scenario.outcome || kept.attempted.Revision != wanted.revision {
		t.Errorf("%s: the server believes %+v; log is\n%s%s", where, kept, dying.Err, run.Err)
	}
	expected := base
	if scenario.outcome == serverapi.Applied {
		expected = wanted
	}
	if kept.running != expected {
		t.Errorf("%s: runs %v, want %v", where, kept.running, expected)
	}
	if ok, shown := m.satisfies(m.server.targets[expected]); !ok {
		t.Errorf("%s: shows %s", where, shown)
	}
	m.expect(t, `{"monitor-packets-received":true}`, network.ControlTelemetryView, "monitor-packets-received")
	for name, counts := range m.packets() {
		if counts < packets[name] {
			t.Errorf("%s: packets of %s went from %d to %d", where, name, packets[name], counts)
		}
	}
	return crashed && step < mostSteps
}

func (c *crash) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

func (c *crash) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
}

// packets returns how many packets each interface has sent, as the server was told last.
func (m *member) packets() map[string]uint64 {
	m.server.mu.Lock()
	defer m.server.mu.Unlock()
	sent := map[string]uint64{}
	for name, counts := range m.server.reports[len(m.server.reports)-1].Stats.Packets {
		sent[name] = counts.Sent
	}
	return sent
}

// truthful looks, when the device says what it runs, whether it does.
func (m *member) truthful(t *testing.T) {
	m.wire.onClaim(func(running target) {
		m.server.mu.Lock()
		config, known := m.server.targets[running]
		m.server.mu.Unlock()
		if !known {
			t.Errorf("the device says it runs %v, which nobody has asked for", running)
		}
		if ok, shown := m.satisfies(config); !ok {
			t.Errorf("the device says it runs %v, but shows %s", running, shown)
		}
	})
}

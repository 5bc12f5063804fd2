package control_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// FuzzAgreement has server and device live through bad days: messages are lost, repeated and late, processes die at any
// step, targets come in quick succession, some of which cannot be applied or take the server out of reach, and the server
// is restored from backups. When all of that is over, both agree on what runs, and it does.
func FuzzAgreement(f *testing.F) {
	for seed := range uint64(12) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { live(t, rand.New(rand.NewPCG(seed, 0))) })
	})
}

// asked returns a configuration that somebody might ask for.
func asked(random *rand.Rand) serverapi.Config {
	config := serverapi.Config{network.ControlTelemetryView: map[string]any{"sample-rate": 1 + random.IntN(9)}}
	if random.IntN(2) == 0 {
		config[network.ControlTunnelView] = map[string]any{"peers": []any{fmt.Sprintf("10.0.0.%d", 1+random.IntN(9))}}
	}
	switch random.IntN(8) {
	case 0:
		config[network.ControlTelemetryView] = map[string]any{"sample-rate": -1}
	case 1:
		config[network.ControlTunnelView] = map[string]any{"interface": "eth9"}
	case 2:
		return lostWith(config)
	case 3:
		config[network.ControlTelemetryView] = map[string]any{"sample-rate": nil}
	}
	return config
}

// applicable reports whether a device can apply what asked has come up with, and reach its server with it.
func applicable(config serverapi.Config) bool {
	telemetry, _ := config[network.ControlTelemetryView].(map[string]any)
	tunnel, _ := config[network.ControlTunnelView].(map[string]any)
	return telemetry["sample-rate"] != -1 && tunnel["interface"] == nil && config[network.ControlDeviceView] == nil
}

func live(t *testing.T, random *rand.Rand) {
	m := newMember(t)
	m.wire.random = rand.New(rand.NewPCG(random.Uint64(), 0))
	m.random = rand.New(rand.NewPCG(random.Uint64(), 0)).Float64
	flavour := []rolestest.Options{{}, {Plain: true}, {Hooks: true}}[random.IntN(3)]
	m.use(flavour)
	m.server.waits = random.IntN(4) > 0
	m.once(t, 0)
	m.truthful(t)

	words := []string{"--interval", "1m", "--confirm-within", "2m"}
	var run *rolestest.Run
	start := func() {
		c := &crash{left: -1, after: random.IntN(2) == 0}
		if random.IntN(2) == 0 {
			c.left = random.IntN(20)
		}
		m.use(flavour)
		m.options.Write = func(write func() error) error { return c.step("registry", write) }
		m.replace = func(path string, content []byte, mode os.FileMode) error {
			return c.step(path, func() error { return quickly(path, content, mode) })
		}
		c.mu.Lock()
		run = m.start(words...)
		c.died = run.Interrupt
		c.mu.Unlock()
		m.wire.mu.Lock()
		m.wire.servers[home] = roundTrip(func(request *http.Request) (*http.Response, error) {
			if c.isDead() {
				return nil, errDead
			}
			return m.server.RoundTrip(request)
		})
		m.wire.mu.Unlock()
	}
	start()
	backup := m.server.backup()
	for range 30 {
		switch random.IntN(9) {
		case 0, 1, 2:
			m.server.want(asked(random))
		case 3:
			m.wire.mu.Lock()
			m.wire.bad = []float64{0, 0.2, 0.6, 1}[random.IntN(4)]
			m.wire.mu.Unlock()
		case 4:
			m.wire.deliver(0.5)
		case 5:
			run.Stop()
			start()
		case 6:
			backup = m.server.backup()
		case 7:
			if random.IntN(3) == 0 {
				m.server.restore(backup)
				if random.IntN(2) == 0 {
					m.server.want(asked(random))
				}
			}
		case 8: // somebody else
			m.Set(network.ControlTelemetryView, map[string]any{"monitor-peers": random.IntN(2) == 0})
		}
		time.Sleep(time.Duration(random.Int64N(int64(3 * time.Minute))))
		synctest.Wait()
	}
	run.Stop()

	// All is well from now on.
	m.wire.deliver(1)
	m.wire.mu.Lock()
	m.wire.bad, m.wire.servers[home] = 0, m.server
	m.wire.mu.Unlock()
	m.use(flavour)
	m.replace = quickly
	run = m.start(words...)
	time.Sleep(2 * time.Hour)
	for journalOf(t, m.dir).Attempt != nil {
		time.Sleep(30 * time.Second)
	}
	synctest.Wait()
	run.Stop()
	kept := m.agree(t)
	wanted := m.server.targets[kept.desired]
	switch {
	case kept.desired.revision == 0:
	case applicable(wanted):
		if kept.running != kept.desired || kept.attempted.Outcome != serverapi.Applied {
			t.Errorf("desired %v (%v), the server believes %+v", kept.desired, wanted, kept)
		}
	default:
		if kept.running == kept.desired || kept.attempted.Revision != kept.desired.revision ||
			kept.attempted.Outcome == serverapi.Applied {
			t.Errorf("desired %v (%v), the server believes %+v", kept.desired, wanted, kept)
		}
	}
	if kept.running != (target{}) {
		if ok, shown := m.satisfies(m.server.targets[kept.running]); !ok {
			t.Errorf("runs %v, but shows %s", m.server.targets[kept.running], shown)
		}
	}
}

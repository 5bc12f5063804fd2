package storetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// A stagedDevice is a device of the model of releases: what it runs, and what it has reported.
type stagedDevice struct {
	id      uuid.UUID
	labels  fleet.Labels
	refuses bool
	drifts  bool // it reports that it runs its target, and shows another value each time
	dead    bool

	sequence int64
	running  fleet.Running
	tried    fleet.Attempted
	config   fleet.Config
	sent     []fleet.Poll

	born     int64            // the last revision at its registration
	entitled []string         // all configurations that it was allowed to get, the present one last
	offered  map[int64]string // by revision: what it was offered
}

// A stagedTargets decides which configurations devices may get.
type stagedTargets struct {
	layers map[fleet.LayerName]stagedLayer
	before map[fleet.LayerName]stagedLayer // all layers before the release; nil if no release is active
	active fleet.Release
}

func (m *staged) register() {
	labels := m.someLabels()
	device, err := m.some().Register(m.t.Context(), fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: uuid.NewString(), Arch: "amd64"},
		labels, fleet.Active)
	ok(m.t, err)
	m.note("register %s %v", device.ID, labels)
	targets, err := m.stores[0].Targets(m.t.Context())
	ok(m.t, err)
	m.devices = append(m.devices, &stagedDevice{id: device.ID, born: targets.Revision, labels: labels, refuses: m.random.IntN(2) == 0,
		drifts: len(m.devices)%4 == 3, offered: map[int64]string{}})
}

func (l stagedLayer) matches(labels fleet.Labels) bool {
	for name, value := range l.selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// due returns the configuration that a device must get now.
func (m stagedTargets) due(t *testing.T, device *stagedDevice) string {
	layers := m.layers
	if m.before != nil {
		concerned := false
		for _, name := range m.active.Layers {
			present, is := m.layers[name]
			was, there := m.before[name]
			mine := !name.IsDevice() || name == fleet.DeviceLayer(device.id)
			concerned = concerned || mine && (is && present.matches(device.labels) || there && was.matches(device.labels))
		}
		stage := m.active.Progress.Admit.Stage(release.Device{ID: device.id, Place: release.Place(m.active.ID, device.id), Labels: device.labels}, func(selector string) bool {
			return parse(t, selector).Matches(device.labels)
		})
		if concerned && stage == 0 {
			layers = m.before
		}
	}
	names := slices.SortedFunc(maps.Keys(layers), func(a, b fleet.LayerName) int {
		rank := func(name fleet.LayerName) string {
			switch {
			case name == fleet.Everyone:
				return "0"
			case name.IsLabels():
				return fmt.Sprint("1", layers[name].priority, name)
			}
			return "2"
		}
		return strings.Compare(rank(a), rank(b))
	})
	values := map[string]string{}
	for _, name := range names {
		if name.IsDevice() && name != fleet.DeviceLayer(device.id) || !layers[name].matches(device.labels) {
			continue
		}
		values[string(name)], values["last"] = layers[name].value, layers[name].value
	}
	if len(values) == 0 {
		return "{}"
	}
	text, err := json.Marshal(map[string]any{"v": values})
	ok(t, err)
	return string(text)
}

func (d *stagedDevice) report() fleet.Poll {
	return fleet.Poll{Config: d.config, Report: true, Sequence: d.sequence, Running: d.running, Attempted: d.tried}
}

// poll lets a device poll at a server, and applies the offer, unless the answer is lost.
func (m *staged) poll(device *stagedDevice, server int) {
	if device.dead {
		return
	}
	poll := device.report()
	repeats := len(device.sent) > 0 && m.random.IntN(6) == 0
	if repeats { // an old report arrives again
		poll = device.sent[m.random.IntN(len(device.sent))]
	}
	answer, err := m.servers[server].Poll(m.t.Context(), device.id, poll)
	ok(m.t, err)
	device.sent = append(device.sent, poll)
	if answer.Offer == nil {
		return
	}
	offer := *answer.Offer
	content := offer.Config.String()
	m.note("%s at %d of %d is offered %d: %s", device.id, server, len(m.servers), offer.Revision, content)
	m.observe()
	switch was, there := device.offered[offer.Revision]; {
	case there && was != content:
		m.t.Errorf("%s: revision %d was %s, and is %s", device.id, offer.Revision, was, content)
	case offer.Revision <= device.born && device.running.Revision == 0 && device.tried.Revision == 0:
		// A server that does not know the last changes gives a device that is newer than them what was right before for
		// a device with its labels.
		if !slices.ContainsFunc(m.past, func(past stagedTargets) bool { return past.due(m.t, device) == content }) {
			m.t.Errorf("%s is new, and nobody like it was ever entitled to %s", device.id, content)
		}
	case !slices.Contains(device.entitled, content):
		m.t.Errorf("%s was never entitled to %s, but to %v", device.id, content, device.entitled)
	case offer.Revision < max(device.running.Revision, device.tried.Revision):
		m.t.Errorf("%s knows revision %d and %d, and is offered %d", device.id, device.running.Revision, device.tried.Revision, offer.Revision)
	}
	device.offered[offer.Revision] = content
	if repeats || m.random.IntN(5) == 0 { // the answer is lost
		return
	}
	m.takes(device, offer)
}

func (m *staged) takes(device *stagedDevice, offer fleet.Target) {
	device.sequence++
	if device.refuses && strings.Contains(offer.Config.String(), "bad") {
		device.tried = fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Refused, Path: "v.last", Reason: "it is bad"}
		return
	}
	device.tried = fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Applied}
	device.running = fleet.Running{Revision: offer.Revision, Hash: offer.Hash}
	if device.config = offer.Config; device.drifts && offer.Config.String() != "{}" {
		device.config = Config(m.t, fmt.Sprintf(`{"v":{"last":"drifted %d"}}`, device.sequence))
	}
}

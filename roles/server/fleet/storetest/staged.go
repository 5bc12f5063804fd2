package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/clock/clocktest"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
)

// Staged compares releases with a model under random acts: layers are changed, released and restored, labels change,
// devices register, poll, lose answers, repeat old reports and fall silent, persons say go, halt and undo, and servers
// crash and restart. Servers do not hear of each other: each knows only what it has read. open opens the same store for
// each server.
func Staged(t *testing.T, servers, seeds, acts int, open func(t *testing.T) func() fleet.Store) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := &staged{t: t, random: rand.New(rand.NewPCG(seed, uint64(servers))), open: open(t), clock: clocktest.At(registered)}
			m.layers = map[fleet.LayerName]stagedLayer{}
			m.servers = make([]*fleet.Fleet, servers)
			m.stores = make([]fleet.Store, servers)
			defer m.close()
			for i := range servers {
				m.start(i)
			}
			for range 8 {
				m.register()
			}
			for i := 0; i < acts && !t.Failed(); i++ {
				m.act()
				m.observe()
			}
			if !t.Failed() {
				m.finish()
			}
			if t.Failed() {
				t.Log(strings.Join(m.log, "\n"))
			}
		})
	}
}

// A deaf is a store without notices, of itself or of others.
type deaf struct{ fleet.Store }

func (deaf) Shared() bool { return true }

func (deaf) Changes(ctx context.Context) (<-chan fleet.Notice, error) {
	silence := make(chan fleet.Notice)
	context.AfterFunc(ctx, func() { close(silence) })
	return silence, nil
}

type stagedLayer struct {
	selector map[string]string
	priority int64
	value    string // of the member with this layer's name; some devices refuse "bad…"
}

// A staged is a model of layers and of the active release: it has their content now, and before the release.
type staged struct {
	t       *testing.T
	random  *rand.Rand
	open    func() fleet.Store
	servers []*fleet.Fleet
	stores  []fleet.Store
	clock   *clocktest.Clock
	log     []string
	drawn   int // number of values so far

	stagedTargets
	past    []stagedTargets // all earlier targets
	devices []*stagedDevice
}

func (m *staged) note(format string, arguments ...any) {
	m.log = append(m.log, fmt.Sprintf(format, arguments...))
}

func (m *staged) start(i int) {
	m.stores[i] = m.open()
	rules, err := fleet.Open(m.t.Context(), deaf{m.stores[i]}, fleet.Options{Now: m.clock.Now, PollInterval: time.Hour})
	ok(m.t, err)
	m.servers[i] = rules
}

func (m *staged) stop(i int) {
	if m.servers[i] != nil {
		ok(m.t, m.servers[i].Close())
		ok(m.t, m.stores[i].Close())
		m.servers[i] = nil
	}
}

func (m *staged) close() {
	for i := range m.servers {
		m.stop(i)
	}
}

func (m *staged) restart(i int) {
	m.stop(i)
	m.start(i)
}

func (m *staged) some() *fleet.Fleet { return m.servers[m.random.IntN(len(m.servers))] }

func (m *staged) someLabels() fleet.Labels {
	labels := fleet.Labels{}
	for _, name := range []string{"site", "ring"} {
		if value := m.random.IntN(3); value > 0 {
			labels[name] = string(rune('a' + value))
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

// someChange returns a change of a random layer with a new value.
func (m *staged) someChange() (fleet.Change, stagedLayer) {
	names := []fleet.LayerName{fleet.Everyone, fleet.DeviceLayer(m.devices[0].id), "labels/a", "labels/b", "labels/c", fleet.DeviceLayer(m.devices[m.random.IntN(2)].id)}
	name := names[m.random.IntN(len(names))]
	change := fleet.Change{Layer: fleet.Layer{Name: name, Authorship: fleet.Authorship{By: "ann"}}}
	if present, there := m.layers[name]; there && m.random.IntN(5) == 0 {
		change.Remove = true
		return change, present
	}
	m.drawn++
	layer := stagedLayer{value: fmt.Sprint("good", m.drawn)}
	if m.random.IntN(4) == 0 {
		layer.value = fmt.Sprint("bad", m.drawn)
	}
	if name.IsLabels() {
		layer.selector = map[string]string{[]string{"site", "ring"}[m.random.IntN(2)]: []string{"b", "c"}[m.random.IntN(2)]}
		layer.priority = int64(m.random.IntN(3))
		for label, value := range layer.selector {
			change.Selector = parse(m.t, label+"="+value)
		}
		change.Priority = layer.priority
	}
	change.Config = Config(m.t, fmt.Sprintf(`{"v":{%q:%q,"last":%q}}`, string(name), layer.value, layer.value))
	return change, layer
}

func (m *staged) apply(change fleet.Change, layer stagedLayer) {
	if change.Remove {
		delete(m.layers, change.Name)
	} else {
		m.layers[change.Name] = layer
	}
	if m.before != nil && !slices.Contains(m.active.Layers, change.Name) {
		if change.Remove {
			delete(m.before, change.Name)
		} else {
			m.before[change.Name] = layer
		}
	}
}

func (m *staged) act() {
	ctx := m.t.Context()
	switch n := m.random.IntN(100); {
	case n < 45:
		m.poll(m.devices[m.random.IntN(1+m.random.IntN(len(m.devices)))], m.random.IntN(len(m.servers))) // the first devices more often
	case n < 53:
		change, layer := m.someChange()
		_, err := m.some().Set(ctx, change)
		m.note("set %s %+v: %v", change.Name, layer, err)
		if m.before != nil && slices.Contains(m.active.Layers, change.Name) {
			is(m.t, err, fleet.ErrReleasing)
			return
		}
		ok(m.t, err)
		m.apply(change, layer)
	case n < 59:
		m.release()
	case n < 63:
		if m.before == nil {
			return
		}
		event := []release.Event{release.SaysGo, release.SaysGo, release.SaysGo, release.SaysHalt, release.SaysUndo}[m.random.IntN(5)]
		view, err := m.some().Say(ctx, fleet.Word{Release: m.active.ID, Event: event, By: "bo"})
		m.note("says %s: %s, %v", event, view.Progress.Phase, err)
		if err != nil {
			is(m.t, err, fleet.ErrNoMove)
		}
	case n < 75:
		ok(m.t, m.some().MoveRelease(ctx))
		m.note("look")
	case n < 80:
		device := m.devices[m.random.IntN(len(m.devices))]
		patch := map[string]*string{}
		for _, name := range []string{"site", "ring"} {
			if value := string(rune('a' + m.random.IntN(3))); value != "a" {
				patch[name] = &value
			} else {
				patch[name] = nil
			}
		}
		_, err := m.some().SetLabels(ctx, device.id, patch, "ann", nil)
		ok(m.t, err)
		device.labels = device.labels.Merge(patch)
		m.note("labels of %s are %v", device.id, device.labels)
	case n < 82:
		if len(m.devices) < 14 {
			m.register()
		}
	case n < 88:
		m.restart(m.random.IntN(len(m.servers)))
		m.note("a server starts again")
	case n < 90:
		device := m.devices[m.random.IntN(len(m.devices))]
		device.dead = !device.dead
		m.note("%s is dead: %t", device.id, device.dead)
	case n < 93:
		m.restore()
	default:
		m.clock.Pass(time.Duration(m.random.IntN(80)) * time.Minute)
		m.note("it is %s", m.clock.Now())
	}
}

func (m *staged) release() {
	plans := []string{`{"stages":[{"devices":1},{"percent":50}],"on-stop":"undo"}`, `{"stages":[{"percent":30,"spread":"site","hold":"1h"},{"percent":100}]}`,
		`{"stages":[{"selector":"ring=b"},{"devices":3}],"approve":[2]}`, `{"stages":[{"percent":100}],"approve":[1],"on-stop":"undo"}`}
	server := m.some()
	plan, err := server.ReadPlan([]byte(plans[m.random.IntN(len(plans))]))
	ok(m.t, err)
	var batch fleet.Batch
	layers := map[fleet.LayerName]stagedLayer{}
	for range 1 + m.random.IntN(3) {
		change, layer := m.someChange()
		if _, twice := layers[change.Name]; !twice {
			batch.Changes, layers[change.Name] = append(batch.Changes, change), layer
		}
	}
	_, begun, err := server.StartRelease(m.t.Context(), batch, plan, "bo")
	m.note("release of %v by %s: %v", slices.Collect(maps.Keys(layers)), plan, err)
	if m.before != nil {
		is(m.t, err, fleet.ErrReleasing)
		return
	}
	if plan.Stages[0].Selector != "" && !m.chooses(batch, layers, fleet.Labels{"ring": "b"}) {
		if wrong := (*release.Error)(nil); !errors.As(err, &wrong) {
			m.t.Errorf("a stage of no device: %v", err)
		}
		return
	}
	ok(m.t, err)
	m.before = maps.Clone(m.layers)
	m.active = *begun
	for _, change := range batch.Changes {
		m.apply(change, layers[change.Name])
	}
}

// chooses reports whether a batch concerns a device with labels.
func (m *staged) chooses(batch fleet.Batch, layers map[fleet.LayerName]stagedLayer, labels fleet.Labels) bool {
	for _, device := range m.devices {
		if !(stagedLayer{selector: labels}).matches(device.labels) {
			continue
		}
		for _, change := range batch.Changes {
			was, there := m.layers[change.Name]
			mine := !change.Name.IsDevice() || change.Name == fleet.DeviceLayer(device.id)
			if mine && (!change.Remove && layers[change.Name].matches(device.labels) || there && was.matches(device.labels)) {
				return true
			}
		}
	}
	return false
}

func (m *staged) restore() {
	ctx := m.t.Context()
	list, err := m.stores[0].Entries(ctx, "", 0, 40)
	ok(m.t, err)
	if len(list) == 0 {
		return
	}
	entry := list[m.random.IntN(len(list))]
	_, err = m.some().Restore(ctx, entry.Revision, "ann", nil)
	m.note("restore %d of %s: %v", entry.Revision, entry.Layer, err)
	switch {
	case entry.Action == fleet.Moved:
		is(m.t, err, fleet.ErrTarget)
	case entry.Action == fleet.Relabeled:
		ok(m.t, err)
		for _, device := range m.devices {
			if fleet.DeviceLayer(device.id) == entry.Layer {
				device.labels = entry.Labels
			}
		}
	case errors.Is(err, fleet.ErrReleasing):
		if m.before == nil || !slices.Contains(m.active.Layers, entry.Layer) {
			m.t.Error(err)
		}
	default:
		ok(m.t, err)
		if entry.Action == fleet.Removed {
			m.apply(fleet.Change{Layer: fleet.Layer{Name: entry.Layer}, Remove: true}, stagedLayer{})
			return
		}
		layer := stagedLayer{priority: entry.Priority}
		var shown struct{ V map[string]string }
		ok(m.t, json.Unmarshal([]byte(entry.After.String()), &shown))
		layer.value = shown.V["last"]
		if label, value, found := strings.Cut(entry.Selector.String(), "="); found {
			layer.selector = map[string]string{label: value}
		}
		m.apply(fleet.Change{Layer: fleet.Layer{Name: entry.Layer}}, layer)
	}
}

// observe reads the progress of the release from the store, and records the configuration that each device may get.
func (m *staged) observe() {
	if m.t.Failed() {
		return
	}
	targets, err := m.stores[0].Targets(m.t.Context())
	ok(m.t, err)
	switch {
	case m.before == nil:
		if targets.Release != nil {
			m.t.Fatalf("release %d is active", targets.Release.ID)
		}
	case targets.Release == nil:
		ended, err := m.stores[0].Release(m.t.Context(), m.active.ID)
		ok(m.t, err)
		m.note("the release is %s", ended.Progress.Phase)
		if ended.Progress.Phase == release.Undone {
			m.layers = m.before
		}
		m.before = nil
		list, err := m.stores[0].History(m.t.Context(), ended.HistoryName(), 0, 1000)
		ok(m.t, err)
		if int64(len(list)) != ended.Version {
			m.t.Errorf("the release has version %d and %d entries", ended.Version, len(list))
		}
		if len(waits(m.t, m.stores[0])) > 0 {
			m.t.Error("the release has left a trace")
		}
	default:
		m.active = *targets.Release
	}
	m.past = append(m.past, stagedTargets{maps.Clone(m.layers), maps.Clone(m.before), m.active})
	for _, device := range m.devices {
		if now := m.due(m.t, device); len(device.entitled) == 0 || device.entitled[len(device.entitled)-1] != now {
			device.entitled = append(device.entitled, now)
		}
	}
}

// finish ends the release, and lets all devices poll until there is nothing to do. Each device then runs its target, at
// every server.
func (m *staged) finish() {
	ctx := m.t.Context()
	for i := range m.servers {
		m.restart(i)
	}
	for rounds := 0; m.before != nil && rounds < 40; rounds++ {
		if m.random.IntN(2) == 0 {
			_, err := m.servers[0].Say(ctx, fleet.Word{Release: m.active.ID, Event: release.SaysGo, By: "bo"})
			if err != nil {
				is(m.t, err, fleet.ErrNoMove)
			}
		}
		for _, device := range m.devices {
			m.poll(device, m.random.IntN(len(m.servers)))
		}
		m.clock.Pass(time.Hour)
		ok(m.t, m.some().MoveRelease(ctx))
		m.observe()
	}
	if m.before != nil {
		m.t.Fatalf("the release does not end: %+v", m.active.Progress)
	}
	for i := range m.servers {
		m.restart(i)
	}
	states := map[fleet.State]int{}
	for _, device := range m.devices {
		device.dead = false
		for range 3 {
			answer, err := m.some().Poll(ctx, device.id, device.report())
			ok(m.t, err)
			if answer.Offer == nil {
				break
			}
			m.takes(device, *answer.Offer)
		}
		view, err := m.some().Device(ctx, device.id)
		ok(m.t, err)
		want := fleet.StateInSync
		if device.refuses && strings.Contains(m.due(m.t, device), "bad") {
			want = fleet.StateRefused
		} else if device.drifts && m.due(m.t, device) != "{}" {
			want = fleet.StateDrifted
		}
		if view.State != want || view.Target.Config.String() != m.due(m.t, device) || view.Release != nil {
			m.t.Errorf("%s is %s, want %s; its target is %s, want %s", device.id, view.State, want, view.Target.Config, m.due(m.t, device))
		}
		states[want]++
	}
	for i := range m.servers {
		m.restart(i)
		summary, err := m.servers[i].Summary(ctx)
		ok(m.t, err)
		if summary.States[fleet.StateInSync] != states[fleet.StateInSync] || summary.States[fleet.StateRefused] != states[fleet.StateRefused] {
			m.t.Errorf("the summary is %v, want %v", summary.States, states)
		}
	}
}

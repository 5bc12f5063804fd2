package oracle

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// everyone is the layer of all devices.
const everyone = "everyone"

// A layer is a layer of targets as an operator has set it.
type layer struct {
	Selector string
	Priority int64
	Config   serverapi.Config
}

// A change is an entry of the history.
type change struct {
	revision      int64
	layer         string
	before, after *layer // nil for no layer
	labelled      bool   // the labels of the layer's device have changed, not the layer
	release       int64  // the release that the change began; 0 for none
	amid          bool   // a release was active, so that the devices outside of it have the revision before
}

// A pollContent is the content of a device's poll.
type pollContent struct {
	config    serverapi.Config // without counters
	sequence  int64
	running   serverapi.Running
	attempted serverapi.Attempted
}

// An entry is a device as a server has to know it: what the device told it, and what the server answered.
type entry struct {
	id     uuid.UUID
	labels map[string]string
	status string
	name   string

	polled   bool           // the server has answered a poll
	last     pollContent    // the last answered poll
	maybe    []*pollContent // polls without an answer, which the server may have processed
	answered time.Time      // the server has seen the device at this time or later
	asked    time.Time      // the server may have seen the device at this time
}

// A model is the state that servers must have according to the documentation and to everything that was sent to them.
// It asks no server.
type model struct {
	revision int64 // the last revision
	target   int64 // the last revision of a layer
	layers   map[string]layer
	changes  []change
	entries  map[uuid.UUID]*entry
	release  *rollout // the active release; nil for none; replaced, never modified
	restored bool     // a backup was restored since the last revision
}

func newModel() *model {
	return &model{layers: map[string]layer{}, entries: map[uuid.UUID]*entry{}}
}

// clone returns a copy for a backup.
func (m *model) clone() *model {
	c := *m
	c.layers, c.changes, c.entries = maps.Clone(m.layers), slices.Clone(m.changes), map[uuid.UUID]*entry{}
	for id, e := range m.entries {
		copied := *e
		copied.labels, copied.maybe = maps.Clone(e.labels), slices.Clone(e.maybe)
		c.entries[id] = &copied
	}
	return &c
}

// set records a change of a layer (nil: removed) with its revision.
func (m *model) set(name string, to *layer, revision int64) {
	c := change{revision: revision, layer: name, after: to, amid: m.release != nil}
	if before, there := m.layers[name]; there {
		c.before = &before
	}
	if to != nil {
		m.layers[name] = *to
	} else {
		delete(m.layers, name)
	}
	m.add(c)
	m.target = max(m.target, revision)
}

func (m *model) add(c change) {
	m.changes = append(m.changes, c)
	slices.SortStableFunc(m.changes, func(a, b change) int { return cmp.Compare(a.revision, b.revision) })
	m.revision = max(m.revision, c.revision)
}

// label records a change of a device's labels.
func (m *model) label(e *entry, labels map[string]string, revision int64) {
	e.labels = labels
	m.add(change{revision: revision, layer: ownLayer(e.id), labelled: true, amid: m.release != nil})
	m.restored = false
}

func ownLayer(id uuid.UUID) string { return "devices/" + id.String() }

// desired returns a device's target: the merge of its layers, and the last revision that concerned it. For a device
// outside of the active release it uses the earlier state of the release's layer.
func (m *model) desired(e *entry, admitted bool) (serverapi.Config, int64) {
	layers, release := m.layers, int64(0)
	if !admitted && m.concerned(e) {
		release, layers = m.release.id, maps.Clone(m.layers)
		if delete(layers, m.release.layer); m.release.before != nil {
			layers[m.release.layer] = *m.release.before
		}
	}
	var names []string
	for name, l := range layers {
		if name == everyone || name == ownLayer(e.id) || strings.HasPrefix(name, "labels/") && selects(l.Selector, e.labels) {
			names = append(names, name)
		}
	}
	rank := func(name string) int { return slices.Index([]string{"e", "l", "d"}, name[:1]) }
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(layers[a].Priority, layers[b].Priority), cmp.Compare(a, b))
	})
	config := map[string]any{}
	for _, name := range names {
		config = mergeOver(config, layers[name].Config)
	}
	for _, c := range slices.Backward(m.changes) {
		switch {
		case !c.concerns(e) || release > 0 && c.release == release:
		case c.amid && release > 0 && c.revision > release:
			return config, c.revision - 1
		default:
			return config, c.revision
		}
	}
	return config, 0
}

func (c change) concerns(e *entry) bool {
	if !strings.HasPrefix(c.layer, "labels/") {
		return c.layer == everyone || c.layer == ownLayer(e.id)
	}
	return c.before != nil && selects(c.before.Selector, e.labels) || c.after != nil && selects(c.after.Selector, e.labels)
}

// selects reports whether all terms of a selector hold.
func selects(selector string, labels map[string]string) bool {
	for term := range strings.SplitSeq(selector, ",") {
		name, value, valued := strings.Cut(term, "=")
		not := strings.HasPrefix(name, "!") || strings.HasSuffix(name, "!")
		got, there := labels[strings.Trim(name, "!")]
		if (there && (!valued || got == value)) == not {
			return false
		}
	}
	return true
}

// mergeOver merges above over below. Null is a value here: it asks the device to unset.
func mergeOver(below, above map[string]any) map[string]any {
	merged := maps.Clone(below)
	for name, value := range above {
		old, wasObject := below[name].(map[string]any)
		object, isObject := value.(map[string]any)
		switch {
		case wasObject && isObject:
			value = mergeOver(old, object)
		case isObject:
			value = mergeOver(map[string]any{}, object)
		}
		merged[name] = value
	}
	return merged
}

// states returns the states that a server may show for the device: one, or more while a poll has no answer.
func (m *model) states(e *entry, admitted bool) []string {
	if e.status != serverapi.Active {
		return []string{e.status}
	}
	config, revision := m.desired(e, admitted)
	var list []string
	if !e.polled {
		list = append(list, stateNew)
	} else {
		list = append(list, e.last.state(config, revision))
	}
	for _, possible := range e.maybe {
		list = append(list, possible.state(config, revision))
	}
	return list
}

// stateNew is the state of devices that have registered and not polled.
const stateNew = "new"

// state returns the state that follows from a device's poll.
func (t pollContent) state(target serverapi.Config, revision int64) string {
	hash, err := target.Hash()
	if err != nil {
		panic(err) // the value was decoded from JSON
	}
	tried := t.attempted.Outcome != "" && t.attempted.Revision == revision
	switch {
	case t.running == serverapi.Running{Revision: revision, Hash: hash}:
		if contradicts(map[string]any(target), map[string]any(t.config)) {
			return serverapi.StateDrifted
		}
		return serverapi.StateInSync
	case tried && t.attempted.Outcome == serverapi.Refused:
		return serverapi.StateRefused
	case tried && t.attempted.Outcome == serverapi.Failed:
		return serverapi.StateFailed
	case t.running == serverapi.Running{} && satisfies(map[string]any(target), map[string]any(t.config)):
		return serverapi.StateInSync
	}
	return serverapi.StateBehind
}

// contradicts reports whether a shown value differs from the target. A value that is not shown does not.
func contradicts(target, shown any) bool {
	if shown == nil {
		return false
	}
	wanted, isObject := target.(map[string]any)
	if !isObject {
		return text(target) != text(shown)
	}
	object, isObject := shown.(map[string]any)
	if !isObject {
		return !satisfies(wanted, nil)
	}
	for name, value := range wanted {
		if contradicts(value, object[name]) {
			return true
		}
	}
	return false
}

// satisfies reports whether shown has everything in the target.
func satisfies(target, shown any) bool {
	wanted, isObject := target.(map[string]any)
	if !isObject {
		return text(target) == text(shown)
	}
	object, _ := shown.(map[string]any)
	for name, value := range wanted {
		if !satisfies(value, object[name]) {
			return false
		}
	}
	return true
}

// text returns a value as JSON. Equal values have equal texts.
func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // the value was decoded from JSON
	}
	return string(encoded)
}

// silence reports whether a server must show the device as silent, or must not. Neither is true near the limit, because
// a server knows the time of the last poll only to a quarter of an interval.
func (e *entry) silence(now time.Time, interval time.Duration) (must, mustNot bool) {
	slack := interval/4 + 2*time.Second
	// A refused device may ask under another ID, and the server may recognise its key.
	must = e.status == serverapi.Active && now.Sub(e.asked) > 3*interval+slack
	return must, now.Sub(e.answered) < 3*interval-slack
}

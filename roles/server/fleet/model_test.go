package fleet_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// A model is what the rules say, in the plainest way: every change there ever was, looked through for each question.
type model struct {
	changes []modelChange
	devices map[uuid.UUID]fleet.Labels
}

type modelChange struct {
	revision int64
	layer    fleet.LayerName
	selector map[string]string // "" as a value: the label is there
	before   map[string]string // the layer's selector before
	priority int64
	config   map[string]any // nil: removed
	labels   *uuid.UUID     // whose labels have changed
}

func chosen(selector map[string]string, labels fleet.Labels) bool {
	for name, value := range selector {
		got, there := labels[name]
		if !there || value != "" && got != value {
			return false
		}
	}
	return true
}

// target is the composition of a device's layers, and the last revision that concerned it.
func (m *model) target(id uuid.UUID) (config map[string]any, revision int64) {
	labels := m.devices[id]
	last := map[fleet.LayerName]modelChange{}
	for _, change := range m.changes {
		if change.labels != nil {
			if *change.labels == id {
				revision = change.revision
			}
			continue
		}
		concerns := change.layer == fleet.Everyone || change.layer == fleet.DeviceLayer(id) ||
			change.layer.IsLabels() && (chosen(change.selector, labels) || change.before != nil && chosen(change.before, labels))
		if concerns {
			revision = change.revision
		}
		last[change.layer] = change
	}
	layers := slices.Collect(maps.Values(last))
	rank := func(c modelChange) string { // everyone, labels by priority and name, the device's
		switch {
		case c.layer == fleet.Everyone:
			return "0"
		case c.layer.IsLabels():
			return fmt.Sprintf("1 %03d %s", c.priority, c.layer)
		}
		return "2"
	}
	slices.SortFunc(layers, func(a, b modelChange) int { return strings.Compare(rank(a), rank(b)) })
	config = map[string]any{}
	for _, layer := range layers {
		if layer.config == nil || layer.layer.IsDevice() && layer.layer != fleet.DeviceLayer(id) ||
			layer.layer.IsLabels() && !chosen(layer.selector, labels) {
			continue
		}
		config = over(config, layer.config)
	}
	return config, revision
}

// over merges one document over another, sharing nothing.
func over(below, above map[string]any) map[string]any {
	merged := maps.Clone(below)
	for name, value := range above {
		old, wasObject := below[name].(map[string]any)
		object, isObject := value.(map[string]any)
		if wasObject && isObject {
			value = over(old, object)
		}
		merged[name] = value
	}
	return merged
}

// TestModel makes random changes and compares each device's target, its origin and its history with the model.
func TestModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t)
			random := rand.New(rand.NewPCG(seed, 1))
			m := &model{devices: map[uuid.UUID]fleet.Labels{}}
			var ids []uuid.UUID
			for range 6 {
				labels := randomLabels(random)
				id := w.device(labels)
				m.devices[id] = labels
				ids = append(ids, id)
			}
			states := map[fleet.LayerName]modelChange{}
			for range 120 {
				step(t, w, m, states, ids, random)
				for _, id := range ids {
					compareWithModel(t, w, m, id)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

func randomLabels(random *rand.Rand) fleet.Labels {
	labels := fleet.Labels{}
	for _, name := range []string{"site", "stage"} {
		if random.IntN(3) > 0 {
			labels[name] = []string{"a", "b"}[random.IntN(2)]
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

func randomConfig(random *rand.Rand, depth int) map[string]any {
	config := map[string]any{}
	for _, name := range []string{"x", "y", "z"} {
		switch random.IntN(6) {
		case 0:
			config[name] = float64(random.IntN(3))
		case 1:
			config[name] = nil
		case 2:
			config[name] = []any{float64(random.IntN(2))}
		case 3, 4:
			if depth > 0 {
				config[name] = randomConfig(random, depth-1)
			}
		}
	}
	return config
}

// step makes one change, in the fleet and in the model.
func step(
	t *testing.T, w *world, m *model, states map[fleet.LayerName]modelChange, ids []uuid.UUID, random *rand.Rand,
) {
	t.Helper()
	id := ids[random.IntN(len(ids))]
	_, last, _ := w.Targets()
	next := modelChange{revision: last + 1}
	switch random.IntN(8) {
	case 0: // labels
		next.labels = &id
		labels := randomLabels(random)
		if labels.Equal(m.devices[id]) {
			return
		}
		patch := map[string]*string{"site": nil, "stage": nil}
		for name, value := range labels {
			patch[name] = &value
		}
		if _, err := w.SetLabels(t.Context(), id, patch, "ann", nil); err != nil {
			t.Fatal(err)
		}
		m.devices[id] = labels
		next.revision = lastRevision(t, w)
		m.changes = append(m.changes, next)
		return
	case 1, 2:
		next.layer = fleet.Everyone
	case 3, 4:
		next.layer = fleet.DeviceLayer(id)
	default:
		next.layer = fleet.LayerName(fmt.Sprintf("labels/l%d", random.IntN(3)))
		next.selector = []map[string]string{{"site": "a"}, {"site": "b", "stage": "a"}, {"stage": ""}}[random.IntN(3)]
		next.priority = int64(random.IntN(2))
	}
	present, there := states[next.layer]
	there = there && present.config != nil
	if there {
		next.before = present.selector
	}
	change := fleet.Change{Layer: fleet.Layer{Name: next.layer, Priority: next.priority}}
	if there && random.IntN(4) == 0 {
		change.Remove, change.Priority = true, 0
		next.selector = present.selector
	} else {
		next.config = randomConfig(random, 2)
		change.Config = parse(t, jsonOf(t, next.config))
		var err error
		if change.Selector, err = fleet.ParseSelector(selectorText(next.selector)); err != nil {
			t.Fatal(err)
		}
	}
	layer, err := w.Set(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	if there && !change.Remove && layer.Revision == present.revision {
		if !reflect.DeepEqual(present.config, next.config) {
			t.Errorf("a change was not made: %v", next)
		}
		return
	}
	next.revision = layer.Revision
	states[next.layer] = next
	m.changes = append(m.changes, next)
}

func lastRevision(t *testing.T, w *world) int64 {
	t.Helper()
	entries, err := w.History(t.Context(), "", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return entries[0].Revision
}

func selectorText(selector map[string]string) string {
	var terms []string
	for name, value := range selector {
		if value != "" {
			name += "=" + value
		}
		terms = append(terms, name)
	}
	return strings.Join(terms, ",")
}

func compareWithModel(t *testing.T, w *world, m *model, id uuid.UUID) {
	t.Helper()
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	config, revision := m.target(id)
	want := parse(t, jsonOf(t, config))
	if view.Target.Revision != revision || !view.Target.Config.Equal(want) {
		t.Errorf("target %s at %d, want %s at %d", view.Target.Config, view.Target.Revision, want, revision)
	}
	origins, err := view.Target.Explain()
	if err != nil {
		t.Fatal(err)
	}
	// Every value has an origin, which has that value in its layer.
	var paths []string
	walk("", config, func(path string, value any) {
		paths = append(paths, path)
		origin, there := origins[path]
		if !there {
			t.Errorf("%s has no origin", path)
			return
		}
		layer, err := w.Layer(t.Context(), origin.Layer)
		if err != nil || layer.Revision != origin.Revision {
			t.Errorf("%s comes from %v, %v", path, origin, err)
			return
		}
		tree, err := layer.Config.Tree()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		walk("", tree, func(other string, got any) {
			found = found || other == path && jsonOf(t, got) == jsonOf(t, value)
		})
		if !found {
			t.Errorf("%s does not have %s: %s", origin.Layer, path, layer.Config)
		}
	})
	slices.Sort(paths)
	if diff := cmp.Diff(paths, slices.Sorted(maps.Keys(origins))); len(paths)+len(origins) > 0 && diff != "" {
		t.Error(diff)
	}
}

// walk visits the leaves of a document; empty objects are leaves.
func walk(prefix string, document map[string]any, visit func(path string, value any)) {
	for name, value := range document {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		if object, ok := value.(map[string]any); ok && len(object) > 0 {
			walk(path, object, visit)
			continue
		}
		visit(path, value)
	}
}

package fleet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aspects-poc/internal/program"
	"aspects-poc/registry"
	"aspects-poc/registry/embedded"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// rules are those of the roles' custodian.
func rules(options *fleet.Options) {
	options.Rules = func(current, target map[string]map[string]any) error {
		return custodian.Permitted(slices.Collect(maps.Keys(target)), current, target)
	}
}

// A box is a device: a registry with the confdb-schema, and what it says of its last target. It decides by writing: the engine of
// its registry refuses, and the custodian before it.
type box struct {
	t       *testing.T
	id      uuid.UUID
	labels  fleet.Labels
	reg     *registry.Registry
	sent    int64
	running fleet.Running
	tried   fleet.Attempted
}

func newBox(w *world, labels fleet.Labels) *box {
	w.t.Helper()
	engine, err := embedded.OpenMemory(w.t.Context(), embedded.Options{Documents: []json.RawMessage{network.Document("")}})
	if err != nil {
		w.t.Fatal(err)
	}
	reg := registry.New(engine, registry.ViewID{Account: network.AccountID, Schema: "network"})
	w.t.Cleanup(func() { _ = reg.Close() })
	return &box{t: w.t, id: w.device(labels), labels: labels, reg: reg}
}

// shows returns what the control views show.
func (b *box) shows() map[string]map[string]any {
	shown := map[string]map[string]any{}
	for _, view := range []string{"control-device", "control-interfaces", "control-tunnel", "control-telemetry"} {
		document, err := b.reg.View(view).Get(b.t.Context())
		if errors.Is(err, registry.ErrNoData) {
			continue
		}
		if err != nil {
			b.t.Fatal(err)
		}
		shown[view] = document
	}
	return shown
}

// poll polls until nothing is offered, or the offer is refused, and returns the refusal.
func (b *box) poll(w *world) (refused string) {
	b.t.Helper()
	for range 3 {
		text, err := json.Marshal(b.shows())
		if err != nil {
			b.t.Fatal(err)
		}
		b.sent++
		answer, err := w.Poll(b.t.Context(), b.id, fleet.Poll{Config: parse(b.t, string(text)), Report: true, Sequence: b.sent,
			Running: b.running, Attempted: b.tried})
		if err != nil {
			b.t.Fatal(err)
		}
		if answer.Offer == nil {
			return refused
		}
		offer := *answer.Offer
		if err := b.apply(offer.Config); err != nil {
			refused = err.Error()
			b.tried = fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Refused, Reason: "no"}
			continue
		}
		refused, b.tried = "", fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Applied}
		b.running = fleet.Running{Revision: offer.Revision, Hash: offer.Hash}
	}
	b.t.Fatal("a device is offered the same again and again")
	return ""
}

// apply writes each leaf of a target by itself, all in one transaction.
func (b *box) apply(config fleet.Config) error {
	var target map[string]map[string]any
	decoder := json.NewDecoder(strings.NewReader(config.String()))
	decoder.UseNumber()
	if err := decoder.Decode(&target); err != nil {
		b.t.Fatal(err)
	}
	shown := b.shows()
	changes := registry.Changes{}
	for view, document := range target {
		requests := map[string]any{}
		var walk func(prefix string, value any)
		walk = func(prefix string, value any) {
			if object, is := value.(map[string]any); is {
				for name, below := range object {
					walk(serverapi.JoinPath(prefix, name), below)
				}
				return
			}
			requests[prefix] = value
		}
		for name, value := range document {
			walk(name, value)
		}
		if len(requests) > 0 {
			changes[view] = requests
		}
	}
	// The engine first, as a device does: a dry write would need a second registry, so the rules are asked with what the engine takes.
	if err := b.takes(changes); err != nil {
		return err
	}
	if err := custodian.Permitted(slices.Collect(maps.Keys(target)), shown, target); err != nil {
		return err
	}
	return b.reg.Apply(b.t.Context(), changes)
}

// takes tries changes on a copy of the registry.
func (b *box) takes(changes registry.Changes) error {
	engine, err := embedded.OpenMemory(b.t.Context(), embedded.Options{Documents: []json.RawMessage{network.Document("")}})
	if err != nil {
		b.t.Fatal(err)
	}
	copied := registry.New(engine, registry.ViewID{Account: network.AccountID, Schema: "network"})
	defer func() { _ = copied.Close() }()
	for view, document := range b.shows() {
		if err := copied.Apply(b.t.Context(), registry.Changes{view: document}); err != nil {
			b.t.Fatal(err)
		}
	}
	return copied.Apply(b.t.Context(), changes)
}

// TestPlanComesTrue makes random fleets, states and batches. The plan names each layer that then has another revision, and each
// device that is then offered another configuration, with what it writes and why it refuses. Applied again, a batch writes nothing.
// ASPECTS_PLANS=1000 makes it so many.
func TestPlanComesTrue(t *testing.T) {
	t.Parallel()
	rounds := 100 // a thousand take some three minutes
	if more, err := strconv.Atoi(os.Getenv("ASPECTS_PLANS")); err == nil {
		rounds = more
	} else if testing.Short() || program.Raced { // one goroutine: the detector finds nothing here
		rounds = 20
	}
	refusals, groups := 0, 0
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 7))
			w := newWorld(t, schema, rules)
			var boxes []*box
			for range 1 + random.IntN(6) {
				labels := fleet.Labels{"site": []string{"a", "b"}[random.IntN(2)]}
				if random.IntN(2) == 0 {
					labels["canary"] = ""
				}
				boxes = append(boxes, newBox(w, labels))
			}
			for range 1 + random.IntN(3) { // a history
				_, _ = w.SetAll(t.Context(), randomBatch(w, random, boxes)) // a refusal is part of it
				for _, box := range boxes {
					if random.IntN(4) > 0 {
						box.poll(w)
					}
				}
				if random.IntN(3) == 0 {
					box := boxes[random.IntN(len(boxes))]
					rate := json.Number(fmt.Sprint(1 + random.IntN(60)))
					_ = box.reg.Apply(t.Context(), registry.Changes{"control-telemetry": {"sample-rate": rate}}) // by hand
				}
			}
			for _, box := range boxes {
				box.poll(w)
			}
			batch := randomBatch(w, random, boxes)
			plan, planErr := w.Plan(t.Context(), batch, nil, -1)
			if planErr == nil {
				inSections(t, w, batch, plan)
			}
			before := map[uuid.UUID]string{}
			shown := map[uuid.UUID]map[string]map[string]any{}
			for _, box := range boxes {
				before[box.id] = w.target(box.id)
				shown[box.id] = box.shows()
			}
			batch.Last = &plan.Revision
			layers, err := w.SetAll(t.Context(), batch)
			if planErr != nil || err != nil {
				if fmt.Sprint(planErr) != fmt.Sprint(err) {
					t.Fatalf("planned %v, then %v", planErr, err)
				}
				return
			}
			for i, layer := range layers {
				if changed := layer.Revision > plan.Revision; changed != plan.Layers[i].Changed {
					t.Errorf("layer %s: changed %t, and planned %+v", layer.Name, changed, plan.Layers[i])
				}
			}
			planned := map[uuid.UUID]fleet.Group{}
			count := 0
			for _, group := range plan.Groups {
				groups++
				if count += group.Devices; group.Devices != len(group.Members) {
					t.Errorf("%d devices, and %d members", group.Devices, len(group.Members))
				}
				for _, member := range group.Members {
					planned[member.ID] = group
				}
			}
			if count != plan.Devices || len(planned) != plan.Devices {
				t.Errorf("%d devices in the plan, %d in groups, %d named", plan.Devices, count, len(planned))
			}
			refusing := 0
			for _, box := range boxes {
				group, concerned := planned[box.id]
				if changed := before[box.id] != w.target(box.id); changed != concerned {
					t.Errorf("device %s: changed %t, and in the plan %t", box.id, changed, concerned)
				}
				if !concerned {
					continue
				}
				refused := box.poll(w)
				want := ""
				if group.Refusal != nil {
					want = group.Refusal.Text
					refusals++
					if !group.Known {
						refusing++
					}
				}
				if refused != want {
					t.Errorf("device %s refuses %q, and planned was %q", box.id, refused, want)
				}
				if refused == "" {
					if diff := cmp.Diff(wrote(shown[box.id], box.shows()), writes(group)); diff != "" {
						t.Errorf("device %s (-written +planned):\n%s", box.id, diff)
					}
				}
			}
			if refusing != plan.Refusing {
				t.Errorf("%d refuse, and planned were %d", refusing, plan.Refusing)
			}
			batch.Last = nil
			batch.Changes = slices.DeleteFunc(batch.Changes, func(change fleet.Change) bool { return change.Remove })
			again, err := w.Plan(t.Context(), batch, nil, -1)
			if err != nil || again.Devices != 0 || slices.ContainsFunc(again.Layers, func(l fleet.LayerPlan) bool { return l.Changed }) {
				t.Errorf("applied again, it would do %+v, %v", again, err)
			}
		})
	}
	if refusals == 0 || groups < rounds/2 {
		t.Errorf("the test has seen %d refusals and %d groups", refusals, groups)
	}
}

var digest = regexp.MustCompile(`digest:\S+`)

// inSections compares a plan with those of two devices each.
func inSections(t *testing.T, w *world, batch fleet.Batch, whole fleet.Plan) {
	t.Helper()
	want, got := map[uuid.UUID]string{}, map[uuid.UUID]string{}
	put := func(into map[uuid.UUID]string, plan fleet.Plan) {
		for _, group := range plan.Groups {
			for _, member := range group.Members {
				text := fmt.Sprint(group.Changes, group.Writes, group.Refusal, group.Known, group.Mute)
				into[member.ID] = digest.ReplaceAllString(text, "") // it holds for the first device of a group
			}
		}
	}
	put(want, whole)
	section, refusing, count := fleet.Section{Limit: 2}, 0, 0
	for {
		part, err := w.PlanOf(t.Context(), batch, nil, section, -1)
		if err != nil {
			t.Fatal(err)
		}
		put(got, part)
		refusing += part.Refusing
		if count++; part.Next == "" {
			break
		}
		section.After = part.Next
	}
	if diff := cmp.Diff(want, got); diff != "" || refusing != whole.Refusing || count > 4 {
		t.Errorf("in %d sections %d refuse, and as a whole %d (-whole +sections):\n%s", count, refusing, whole.Refusing, diff)
	}
}

// target returns the text of a device's target.
func (w *world) target(id uuid.UUID) string {
	w.t.Helper()
	view, err := w.Fleet.Device(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return view.Target.Config.String()
}

// writes words what a group writes; what no view shows is left out.
func writes(group fleet.Group) []string {
	list := []string{}
	for _, write := range group.Writes {
		if write.Path != "control-tunnel.secret-key" {
			list = append(list, fmt.Sprint(write.Path, " ", text(write.Before), " ", text(write.After)))
		}
	}
	return list
}

// wrote words how what a device shows has changed.
func wrote(before, after map[string]map[string]any) []string {
	was, is := flat(before), flat(after)
	list := []string{}
	for path := range is {
		if was[path] != is[path] {
			list = append(list, fmt.Sprint(path, " ", cmpText(was[path]), " ", is[path]))
		}
	}
	for path := range was {
		if _, there := is[path]; !there {
			list = append(list, fmt.Sprint(path, " ", was[path], " null"))
		}
	}
	slices.Sort(list)
	return list
}

func cmpText(text string) string {
	if text == "" {
		return "null"
	}
	return text
}

func flat(views map[string]map[string]any) map[string]string {
	list := map[string]string{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		if object, is := value.(map[string]any); is {
			for name, below := range object {
				walk(serverapi.JoinPath(path, name), below)
			}
			return
		}
		list[path] = text(value)
	}
	for view, document := range views {
		walk(view, document)
	}
	return list
}

func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

// randomBatch makes changes of some layers; some of them the schema refuses, and some only devices do.
func randomBatch(w *world, random *rand.Rand, boxes []*box) (batch fleet.Batch) {
	names := []fleet.LayerName{fleet.Everyone, "labels/a", "labels/b", "labels/c"}
	for _, box := range boxes {
		names = append(names, fleet.DeviceLayer(box.id))
	}
	random.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
	for _, name := range names[:1+random.IntN(3)] {
		if random.IntN(5) == 0 {
			if _, err := w.Layer(w.t.Context(), name); err == nil && name != fleet.Everyone {
				batch.Changes = append(batch.Changes, fleet.Change{Layer: fleet.Layer{Name: name}, Remove: true})
				continue
			}
		}
		selector := ""
		if name.IsLabels() {
			selector = []string{"site=a", "site=b", "canary", "!canary", "site!=a"}[random.IntN(5)]
		}
		config := map[string]map[string]any{}
		for range random.IntN(4) {
			for view, values := range randomValues(random) {
				if config[view] == nil {
					config[view] = map[string]any{}
				}
				maps.Copy(config[view], values)
			}
		}
		change := w.change(name, selector, text(config))
		if name.IsLabels() {
			change.Priority = int64(random.IntN(3))
		}
		batch.Changes = append(batch.Changes, change)
	}
	return batch
}

func randomValues(random *rand.Rand) map[string]map[string]any {
	pick := func(values ...any) any { return values[random.IntN(len(values))] }
	name := []string{"eth0", "eth1", "wlan0"}[random.IntN(3)]
	switch random.IntN(8) {
	case 0, 1:
		return map[string]map[string]any{"control-telemetry": {"sample-rate": pick(1, 2, 4, 60, 61, nil)}}
	case 2:
		return map[string]map[string]any{"control-telemetry": {"monitor-peers": pick(true, false, nil)}}
	case 3:
		return map[string]map[string]any{"control-interfaces": {"config": map[string]any{name: pick(nil,
			map[string]any{"interface-type": "ethernet", "ip-address": "10.0.0.1"}, map[string]any{"ip-address": "10.0.0.2"})}}}
	case 4:
		return map[string]map[string]any{"control-tunnel": {"interface": pick(nil, name, "wg0")}}
	case 5:
		return map[string]map[string]any{"control-tunnel": {"peers": pick(nil, []any{"10.0.0.1"}, []any{"10.0.0.2", "10.0.0.3"},
			[]any{"10.0.0.2", "10.0.0.2"})}}
	case 6:
		return map[string]map[string]any{"control-device": {"server-url": pick("http://a.example", "ftp://b.example")}}
	}
	return map[string]map[string]any{"control-tunnel": {"secret-key": pick("hunter2", "hunter3", nil)}}
}

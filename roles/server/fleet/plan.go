package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/serverapi"
	layering "aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// A Plan is what a batch would do.
type Plan struct {
	// Revision is the last one drawn before the plan was made. As Batch.Last it binds the batch to this state of the fleet.
	Revision int64
	Layers   []LayerPlan // in the order of the batch
	Devices  int         // whose target would change
	Refusing int         // of Devices, those that would refuse the target, and do not refuse their present one for the same reason
	Groups   []Group     // of Devices; the largest first
	Stages   []int       // of a release: how many devices each stage would have, and no stage before
}

// A LayerPlan is what would become of a layer.
type LayerPlan struct {
	Before, After Layer // of revision 0 if it is not there; After has the revision of Before if nothing changes
	Changed       bool
	Changes       []Difference
}

// A Group is devices for which a batch does the same.
type Group struct {
	Devices int
	// Changes is how the target changes, and Writes is what the target then asks for and the devices do not show: what they
	// write, unless they refuse.
	Changes, Writes []Difference
	// Refusal is why the devices refuse the target, or nil. The engine decides it on top of what the devices report, and then
	// Options.Rules.
	Refusal *TargetError
	Known   bool        // they refuse their present target for the same reason
	Mute    bool        // they have never reported: what they have is not known
	Members []uuid.UUID // the first of them, in the order of registration
}

// Plan tells what a batch would do, and does not do it: for each layer, and for the devices whose target would change, in groups
// with the first few of their members each; few < 0: all. With stages it is a release. It refuses what SetAll would refuse.
func (f *Fleet) Plan(ctx context.Context, batch Batch, stages *release.Plan, few int) (Plan, error) {
	batch.Release = f.released(stages, "")
	before, after, plan, err := f.prepare(ctx, &batch)
	if err != nil {
		return Plan{}, err
	}
	p := planner{fleet: f, few: few, plan: &plan, groups: map[string]*Group{}, classes: map[[sha256.Size]byte]*Group{}}
	if err := f.scan(ctx, before, after, batch, f.store.Configs, p.add); err != nil {
		return Plan{}, err
	}
	for _, group := range p.order {
		plan.Groups = append(plan.Groups, *group)
	}
	slices.SortStableFunc(plan.Groups, func(a, b Group) int { return b.Devices - a.Devices })
	plan.Stages, err = f.sizesOf(ctx, after, batch)
	return plan, err
}

// prepare checks a batch as SetAll and the store do. It returns the targets before and after, and the plan of the layers.
func (f *Fleet) prepare(ctx context.Context, batch *Batch) (before, after *snapshot, plan Plan, err error) {
	if err := f.targets.refresh(ctx); err != nil {
		return nil, nil, Plan{}, err
	}
	if before, err = f.checkAll(ctx, batch); err != nil {
		return nil, nil, Plan{}, err
	}
	present := Present{Last: before.Revision, Release: before.Release, Unknown: map[LayerName]bool{}, Labels: map[LayerName]Labels{}, Secrets: map[string]int64{}}
	for _, change := range batch.Changes {
		if change.Name.IsDevice() && len(change.Within) > 0 {
			device, err := f.store.Device(ctx, change.Name.Device())
			if err != nil {
				return nil, nil, Plan{}, err
			}
			present.Labels[change.Name] = device.Labels
		}
		layer, err := f.store.Layer(ctx, change.Name)
		if err != nil && !errors.Is(err, ErrUnknownLayer) {
			return nil, nil, Plan{}, err
		}
		present.Layers = append(present.Layers, layer)
	}
	for _, name := range batch.Secrets() {
		present.Secrets[name] = before.secret(name).Revision
	}
	result, err := batch.Apply(present)
	if err != nil {
		return nil, nil, Plan{}, err
	}
	plan = Plan{Revision: present.Last, Layers: make([]LayerPlan, len(result.Layers))}
	for i, change := range batch.Changes {
		if plan.Layers[i], err = f.planLayer(present.Layers[i], result.Layers[i], result.Entries[i] != nil, change.Remove); err != nil {
			return nil, nil, Plan{}, err
		}
	}
	after, err = before.with(batch.Changes)
	return before, after, plan, err
}

func (f *Fleet) planLayer(before, after Layer, changed, remove bool) (LayerPlan, error) {
	name := after.Name
	if remove {
		after = Layer{Name: name}
	}
	plan := LayerPlan{Changed: changed}
	var err error
	if plan.Before, err = f.secrets.layer(before, nil); err != nil {
		return LayerPlan{}, err
	}
	if plan.After, err = f.secrets.layer(after, nil); err != nil {
		return LayerPlan{}, err
	}
	plan.Before.Name = name
	was, err := plan.Before.Config.Tree()
	if err != nil {
		return LayerPlan{}, err
	}
	is, err := plan.After.Config.Tree()
	plan.Changes = compare(was, is)
	return plan, err
}

// scan passes the devices that a batch may concern to a function, with their compositions before and after, if these differ.
func (f *Fleet) scan(ctx context.Context, before, after *snapshot, batch Batch,
	list func(ctx context.Context, after string, limit int) ([]Device, string, error),
	pass func(device Device, before, after *composition) error,
) error {
	own := map[uuid.UUID]*Layer{}
	shared := len(batch.Changes) == 0
	for _, change := range batch.Changes {
		switch {
		case !change.Name.IsDevice():
			shared = true
		case change.Remove:
			own[change.Name.Device()] = nil
		default:
			layer := change.Layer
			own[change.Name.Device()] = &layer
		}
	}
	one := func(device Device) error {
		old, err := before.compose(device)
		if err != nil {
			return err
		}
		if layer, changes := own[device.ID]; changes {
			device.Own = layer
		}
		new, err := after.compose(device)
		if err != nil || old.config.Equal(new.config) {
			return err
		}
		return pass(device, old, new)
	}
	if !shared {
		for _, change := range batch.Changes {
			device, err := f.store.Device(ctx, change.Name.Device())
			if err == nil {
				err = one(device)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for cursor := ""; ; {
		devices, next, err := list(ctx, cursor, scanRows)
		if err != nil {
			return err
		}
		for _, device := range devices {
			if err := one(device); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// A planner makes the groups of a plan.
type planner struct {
	fleet *Fleet
	few   int
	plan  *Plan

	groups map[string]*Group // by what they have in common
	order  []*Group
	// classes are the groups of devices that need no further look: by their targets and what they report.
	classes map[[sha256.Size]byte]*Group
}

func (p *planner) add(device Device, before, after *composition) error {
	shown, err := p.relevant(device.Config, after)
	if err != nil {
		return err
	}
	mute := "reported"
	if device.Report.At.IsZero() {
		mute = "mute"
	}
	class := sha256.Sum256([]byte(strings.Join([]string{before.config.text, after.config.text, shown.text, mute}, "\x00")))
	group := p.classes[class]
	if group == nil {
		if group, err = p.group(device, shown, before, after); err != nil {
			return err
		}
		p.classes[class] = group
	}
	group.Devices++
	p.plan.Devices++
	if group.Refusal != nil && !group.Known {
		p.plan.Refusing++
	}
	if p.few < 0 || len(group.Members) < p.few {
		group.Members = append(group.Members, device.ID)
	}
	return nil
}

// relevant returns a report without the views that have no part in what becomes of the target: those that nobody writes, and the
// target does not name.
func (p *planner) relevant(reported Config, target *composition) (Config, error) {
	names := p.fleet.names
	if names.of == nil || reported.text == "" {
		return reported, nil
	}
	var views map[string]json.RawMessage
	if err := json.Unmarshal([]byte(reported.text), &views); err != nil {
		return Config{}, err
	}
	all := len(views)
	maps.DeleteFunc(views, func(view string, _ json.RawMessage) bool {
		_, named := target.tree[view]
		return !named && !names.of.Writable(view)
	})
	if len(views) == all {
		return reported, nil
	}
	text, err := json.Marshal(views)
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(text)
}

// group returns the group of a device, a new one if there is none.
func (p *planner) group(device Device, shown Config, before, after *composition) (*Group, error) {
	f := p.fleet
	group := &Group{Mute: device.Report.At.IsZero()}
	var err error
	if group.Refusal, err = f.refusedBy(shown, after.config); err != nil {
		return nil, err
	}
	if group.Refusal != nil && before.config.text != "" {
		present, err := f.refusedBy(shown, before.config)
		if err != nil {
			return nil, err
		}
		group.Known = present != nil && present.Path == group.Refusal.Path && present.Text == group.Refusal.Text
	}
	old, err := before.conceal(f.secrets)
	if err != nil {
		return nil, err
	}
	new, err := after.conceal(f.secrets)
	if err != nil {
		return nil, err
	}
	reported, err := shown.Tree()
	if err != nil {
		return nil, err
	}
	reported = f.secrets.each(reported, func(_, _ string, value any) any { return markerOf(f.secrets.digestOf(value)) })
	group.compare(f.names, old.tree, new.tree, reported)
	key, err := json.Marshal(group)
	if err != nil {
		return nil, err
	}
	if known := p.groups[string(key)]; known != nil {
		return known, nil
	}
	// Operators see digests that hold for one device: here for the first.
	_, was, err := old.on(f.secrets, device.ID)
	if err != nil {
		return nil, err
	}
	_, is, err := new.on(f.secrets, device.ID)
	if err != nil {
		return nil, err
	}
	group.compare(f.names, was, is, f.secrets.each(reported, f.secrets.targeted(device.ID)))
	p.groups[string(key)] = group
	p.order = append(p.order, group)
	return group, nil
}

// compare sets what changes of a target, and what the devices then write. What the target has asked for before, and no view shows,
// is not written anew.
func (g *Group) compare(names names, before, after, shown map[string]any) {
	g.Changes = compare(before, after)
	g.Writes = slices.DeleteFunc(lacking(after, shown), func(write Difference) bool {
		return write.Kind == "added" && names.hidden(write.Path) &&
			!slices.ContainsFunc(g.Changes, func(change Difference) bool { return change.Path == write.Path })
	})
}

// refusedBy returns why devices that show these values refuse a target, or nil.
func (f *Fleet) refusedBy(shown, target Config) (*TargetError, error) {
	err := f.tryTarget(shown, target, f.options.Rules)
	var refused *TargetError
	if errors.As(err, &refused) {
		return refused, nil
	}
	return nil, err
}

// lacking lists what a target asks for and a device does not show. Before is what the device shows.
func lacking(target, shown map[string]any) []Difference {
	var list []Difference
	lackingBelow(&list, target, shown, "")
	return list
}

func lackingBelow(list *[]Difference, target, shown map[string]any, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(target)) {
		path := serverapi.JoinPath(prefix, name)
		wanted := target[name]
		present, there := shown[name]
		if object, is := layering.Object(wanted); is {
			inner, _ := layering.Object(present)
			lackingBelow(list, object, inner, path)
			continue
		}
		switch {
		case wanted == nil && (!there || present == nil):
		case wanted == nil:
			compareBelow(list, map[string]any{name: present}, nil, prefix)
		case !there || present == nil:
			*list = append(*list, Difference{Path: path, Kind: "added", After: wanted})
		case !jsonvalue.EqualStored(wanted, present) && !SameSecret(wanted, present):
			*list = append(*list, Difference{Path: path, Kind: "changed", Before: present, After: wanted})
		}
	}
}

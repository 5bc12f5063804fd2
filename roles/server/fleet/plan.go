package fleet

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// A Plan is what a batch would do.
type Plan struct {
	// Revision is the fleet's last revision before the plan. As Batch.Last it binds the batch to this state of the
	// fleet.
	Revision int64
	Layers   []LayerPlan // in the order of the batch
	Devices  int         // number of devices whose target would change
	Refusing int         // how many of Devices would refuse the target, and do not refuse their present one for the same reason
	Groups   []Group     // of Devices; the largest first
	Stages   []int       // for a release: the number of devices that each stage would add
	// Conflict is why the active release prevents the batch now; nil if it does not. With a conflict the plan is for
	// the time after the release.
	Conflict *ReleaseError
	Next     string // the After of the next section; "" after the last one
}

// A LayerPlan is what would happen to a layer.
type LayerPlan struct {
	Device        string // the name of the device of a device's layer
	Before, After Layer  // revision 0 means that there is no layer; After has the revision of Before if nothing changes
	Changed       bool
	Changes       []Difference
}

// A Group has the devices for which a batch does the same.
type Group struct {
	Devices int
	// Changes is how the target changes. Writes is what the devices would write unless they refuse: the target's values
	// that they do not show.
	Changes, Writes []Difference
	// Refusal is why the devices refuse the target, or nil. The engine decides on top of the devices' reports, and then
	// Options.Rules.
	Refusal *TargetError
	Known   bool     // they refuse their present target for the same reason
	Mute    bool     // they have never reported, so that their values are unknown
	Members []Member // the first ones, in the order of registration
}

// A Member is a device of a group.
type Member struct {
	ID   uuid.UUID
	Name string // "" for none
}

// A Section is a part of a fleet. The zero value is the whole fleet.
type Section struct {
	After string // "" begins with the first device; else Plan.Next of the previous section
	Limit int    // number of devices; 0 means all that follow
}

// Plan returns what a batch would do, and changes nothing: for each layer, and for the devices whose target would
// change, in groups with the first few of their members each; few < 0 means all members. With stages the batch is a
// release. It returns an error where SetAll would, or StartRelease with stages, except for the active release: see
// Plan.Conflict.
func (f *Fleet) Plan(ctx context.Context, batch Batch, stages *release.Plan, few int) (Plan, error) {
	return f.PlanOf(ctx, batch, stages, Section{}, few)
}

// PlanOf is Plan for a section of the fleet. Only the plan of the first section has stages.
func (f *Fleet) PlanOf(ctx context.Context, batch Batch, stages *release.Plan, section Section, few int) (Plan, error) {
	batch.Release = f.released(stages, "")
	ground, after, plan, err := f.prepare(ctx, &batch)
	if err != nil {
		return Plan{}, err
	}
	p := planner{fleet: f, few: few, plan: &plan, groups: map[string]*Group{}, classes: map[class]*outlook{}}
	if plan.Next, err = f.scan(ctx, ground, after, batch, section, f.store.Configs, p.look); err != nil {
		return Plan{}, err
	}
	for _, group := range p.order {
		plan.Groups = append(plan.Groups, *group)
	}
	slices.SortStableFunc(plan.Groups, func(a, b Group) int { return b.Devices - a.Devices })
	if section.After == "" {
		plan.Stages, err = f.sizesOf(ctx, ground, after, batch, plan.Layers)
	}
	return plan, err
}

// prepare checks a batch as SetAll and the store do. It returns the ground of the checks, the targets after the batch,
// and the plan of the layers with its Conflict.
func (f *Fleet) prepare(ctx context.Context, batch *Batch) (before *ground, after *snapshot, plan Plan, err error) {
	if err := f.targets.refresh(ctx); err != nil {
		return nil, nil, Plan{}, err
	}
	if before, err = f.groundOf(ctx, *batch); err != nil {
		return nil, nil, Plan{}, err
	}
	if err := f.checkAll(before, batch); err != nil {
		return nil, nil, Plan{}, err
	}
	present := Present{Last: before.Revision, Release: before.Release, Unknown: map[LayerName]bool{}, Labels: map[LayerName]Labels{}, Secrets: map[string]int64{}}
	for _, change := range batch.Changes {
		present.Layers = append(present.Layers, before.layer(change.Name))
		if change.Name.IsDevice() {
			present.Labels[change.Name] = before.devices[change.Name.Device()].Labels
		}
	}
	for _, name := range batch.Secrets() {
		present.Secrets[name] = before.secret(name).Revision
	}
	result, err := batch.Apply(present)
	var conflict *ReleaseError
	if errors.As(err, &conflict) {
		present.Release = nil
		result, err = batch.Apply(present)
	}
	if err != nil {
		return nil, nil, Plan{}, err
	}
	plan = Plan{Revision: present.Last, Layers: make([]LayerPlan, len(result.Layers)), Conflict: conflict}
	for i, change := range batch.Changes {
		if plan.Layers[i], err = f.planLayer(present.Layers[i], result.Layers[i], result.Entries[i] != nil, change.Remove); err != nil {
			return nil, nil, Plan{}, err
		}
		if change.Name.IsDevice() {
			plan.Layers[i].Device = before.devices[change.Name.Device()].Name
		}
	}
	if conflict != nil {
		ended := before.Targets
		ended.Release = nil
		if before.snapshot, err = newSnapshot(ended); err != nil {
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

// A looker evaluates a device whose target differs between before and after. Calls are concurrent. It returns a
// function for the rest of its work, which scan calls in the order of the devices.
type looker func(device Device, before, after *composition) (then func() error, err error)

// scan calls a looker for the devices of a section that a batch may concern. It returns where the next section begins.
func (f *Fleet) scan(ctx context.Context, before *ground, after *snapshot, batch Batch, section Section,
	list func(ctx context.Context, after string, limit int) ([]Device, string, error), look looker,
) (next string, err error) {
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
	one := func(device Device) (func() error, error) {
		layer, changes := own[device.ID]
		if !shared && !changes {
			return nil, nil
		}
		old, err := before.compose(device)
		if err != nil {
			return nil, err
		}
		if changes {
			device.Own = layer
		}
		new, err := after.compose(device)
		if err != nil || old.config.Equal(new.config) {
			return nil, err
		}
		return look(device, old, new)
	}
	if !shared && section == (Section{}) {
		devices := make([]Device, len(batch.Changes))
		for i, change := range batch.Changes {
			devices[i] = before.devices[change.Name.Device()]
		}
		return "", inOrder(devices, one)
	}
	// The store reads the next devices meanwhile.
	lists := make(chan []Device)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer close(lists)
		for left := section.Limit; ; {
			rows := scanRows
			if section.Limit > 0 {
				rows = min(rows, left)
			}
			devices, after, err := list(ctx, section.After, rows)
			if err != nil {
				return err
			}
			select {
			case lists <- devices:
			case <-ctx.Done():
				return ctx.Err()
			}
			left -= len(devices)
			if section.After = after; after == "" || section.Limit > 0 && left <= 0 {
				next = after
				return nil
			}
		}
	})
	work.Go(func() error {
		for devices := range lists {
			if err := inOrder(devices, one); err != nil {
				return err
			}
		}
		return nil
	})
	err = work.Wait()
	return next, err
}

// inOrder calls look for devices on several processors, and the returned functions in order.
func inOrder(devices []Device, look func(Device) (func() error, error)) error {
	thens := make([]func() error, len(devices))
	workers := min(runtime.GOMAXPROCS(0), mostWorkers)
	var work errgroup.Group
	for first := range workers {
		work.Go(func() (err error) {
			for i := first; i < len(devices) && err == nil; i += workers {
				thens[i], err = look(devices[i])
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, then := range thens {
		if then == nil {
			continue
		}
		if err := then(); err != nil {
			return err
		}
	}
	return nil
}

// mostWorkers is the number of processors for a scan. It leaves others for the polls of devices.
const mostWorkers = 4

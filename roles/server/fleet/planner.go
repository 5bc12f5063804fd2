package fleet

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
	layering "aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// A planner makes the groups of a plan.
type planner struct {
	fleet *Fleet
	few   int
	plan  *Plan

	groups map[string]*Group // by key of outlook
	order  []*Group

	mu      sync.Mutex // guards classes
	classes map[class]*outlook
}

// mostClasses is the largest number of remembered classes. If devices have more, most devices are alone in theirs.
const mostClasses = 1 << 14

// A class has the devices with the same targets and the same relevant reports, by digests of the texts.
type class struct {
	before, after, shown [sha256.Size]byte
	mute                 bool
}

// An outlook is what the devices of a class would do.
type outlook struct {
	find  func() error // sets the fields below, once
	group *Group       // at first a group of its own, with digests that are valid for all devices
	key   string       // what the class shares with others of the group
	// member returns the group of the plan for the first device; nil afterwards.
	member func(id uuid.UUID) (*Group, error)
}

// look implements looker.
func (p *planner) look(device Device, before, after *composition) (func() error, error) {
	views, text, err := p.relevant(device.Config, after)
	if err != nil {
		return nil, err
	}
	of := class{sha256.Sum256([]byte(before.config.text)), sha256.Sum256([]byte(after.config.text)), sha256.Sum256(text), device.Report.At.IsZero()}
	p.mu.Lock()
	found := p.classes[of]
	if found == nil {
		found = &outlook{}
		found.find = sync.OnceValue(func() error { return p.find(found, views, of.mute, before, after) })
		if len(p.classes) < mostClasses {
			p.classes[of] = found
		}
	}
	p.mu.Unlock()
	return func() error { return p.add(device, found) }, found.find()
}

func (p *planner) add(device Device, found *outlook) (err error) {
	if found.member != nil {
		if found.group, err = found.member(device.ID); err != nil {
			return err
		}
		found.member = nil
	}
	group := found.group
	group.Devices++
	p.plan.Devices++
	if group.Refusal != nil && !group.Known {
		p.plan.Refusing++
	}
	if p.few < 0 || len(group.Members) < p.few {
		group.Members = append(group.Members, Member{device.ID, device.Name})
	}
	return nil
}

// relevant returns the views of a report that influence the effect of the target, and their text. It leaves out
// read-only views that the target does not have.
func (p *planner) relevant(reported Config, target *composition) (views map[string]json.RawMessage, text []byte, err error) {
	if reported.text == "" {
		return nil, nil, nil
	}
	if err := json.Unmarshal([]byte(reported.text), &views); err != nil {
		return nil, nil, err
	}
	names := p.fleet.names
	for _, view := range slices.Sorted(maps.Keys(views)) {
		if _, named := target.tree[view]; !named && names.of != nil && !names.of.Writable(view) {
			delete(views, view)
			continue
		}
		text = append(append(strconv.AppendQuote(text, view), views[view]...), 0)
	}
	return views, text, nil
}

// find computes what devices with these views would do.
func (p *planner) find(found *outlook, views map[string]json.RawMessage, mute bool, before, after *composition) error {
	f := p.fleet
	group := &Group{Mute: mute}
	shown, err := viewTree(views)
	if err != nil {
		return err
	}
	if group.Refusal, err = f.refusedBy(shown, after.tree); err != nil {
		return err
	}
	if group.Refusal != nil && len(before.tree) > 0 {
		present, err := f.refusedBy(shown, before.tree)
		if err != nil {
			return err
		}
		group.Known = present != nil && present.Path == group.Refusal.Path && present.Text == group.Refusal.Text
	}
	old, err := before.conceal(f.secrets)
	if err != nil {
		return err
	}
	new, err := after.conceal(f.secrets)
	if err != nil {
		return err
	}
	reported := f.secrets.each(shown, func(_, _ string, value any) any { return markerOf(f.secrets.digestOf(value)) })
	group.compare(f.names, old.tree, new.tree, reported)
	key, err := json.Marshal(group)
	found.group, found.key = group, string(key)
	found.member = func(id uuid.UUID) (*Group, error) {
		if known := p.groups[found.key]; known != nil {
			return known, nil
		}
		// Operators see digests that are valid for one device: here for the first.
		_, was, err := old.on(f.secrets, id)
		if err != nil {
			return nil, err
		}
		_, is, err := new.on(f.secrets, id)
		if err != nil {
			return nil, err
		}
		group.compare(f.names, was, is, f.secrets.each(reported, f.secrets.targeted(id)))
		p.groups[found.key] = group
		p.order = append(p.order, group)
		return group, nil
	}
	return err
}

// compare sets how the target changes, and what the devices then write. A value that the old target also has and that
// no view shows is not written again.
func (g *Group) compare(names names, before, after, shown map[string]any) {
	g.Changes = compare(before, after)
	g.Writes = slices.DeleteFunc(lacking(after, shown), func(write Difference) bool {
		return write.Kind == "added" && names.hidden(write.Path) &&
			!slices.ContainsFunc(g.Changes, func(change Difference) bool { return change.Path == write.Path })
	})
}

// viewTree decodes views, with numbers as json.Number.
func viewTree(views map[string]json.RawMessage) (map[string]any, error) {
	tree := make(map[string]any, len(views))
	for view, text := range views {
		var document any
		if err := jsonvalue.Decode(text, &document); err != nil {
			return nil, err
		}
		tree[view] = document
	}
	return tree, nil
}

// refusedBy returns why devices that show these values refuse a target, or nil.
func (f *Fleet) refusedBy(shown, target map[string]any) (*TargetError, error) {
	err := f.tryTarget(shown, target, f.options.Rules)
	var refused *TargetError
	if errors.As(err, &refused) {
		return refused, nil
	}
	return nil, err
}

// lacking lists the target's values that a device does not show. Before is what the device shows.
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

package page

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
)

// mostGroups is the number of groups of devices that a plan shows.
const mostGroups = 20

// A plan is what a change would do, in groups of devices with the same effects.
type plan struct {
	Devices  int // whose targets change
	Refusing int // how many of Devices would refuse the target
	Groups   []planGroup
	More     int // further groups
	Stages   []plannedStage
}

// A planGroup is some devices whose targets change in the same way.
type planGroup struct {
	Devices int
	First   string // one of the devices: its name or ID
	Lines   []line
	Refusal string // why they would refuse it; "" if they would not
}

// plan returns what a change would do; in stages if stages is not nil.
func (p *Page) plan(ctx context.Context, change fleet.Change, stages *release.Plan) (*plan, error) {
	planned, err := p.fleet.Plan(ctx, fleet.Batch{Changes: []fleet.Change{change}}, stages, 1)
	if err != nil {
		return nil, only(err)
	}
	if planned.Conflict != nil {
		return nil, planned.Conflict
	}
	made := planOf(planned)
	for i, devices := range planned.Stages {
		made.Stages = append(made.Stages, plannedStage{stages.Stages[i].String(), termsOf(*stages, i+1), devices})
	}
	return made, nil
}

// only returns the fault of a batch with one change.
func only(err error) error {
	var faults *fleet.BatchError
	if errors.As(err, &faults) && len(faults.Faults) == 1 {
		return faults.Faults[0].Err
	}
	return err
}

func planOf(planned fleet.Plan) *plan {
	made := &plan{Devices: planned.Devices, Refusing: planned.Refusing}
	at := map[string]int{} // by what is shown: groups that differ only in the reports of their devices are joined
	for _, group := range planned.Groups {
		one := planGroup{Devices: group.Devices, Lines: differences(group.Changes)}
		if len(group.Members) > 0 {
			one.First = cmp.Or(group.Members[0].Name, group.Members[0].ID.String())
		}
		if group.Refusal != nil {
			one.Refusal = group.Refusal.Text
		}
		key := one.Refusal
		for _, line := range one.Lines {
			key += "\n" + line.Text
		}
		if index, known := at[key]; known {
			made.Groups[index].Devices += one.Devices
			continue
		}
		at[key] = len(made.Groups)
		made.Groups = append(made.Groups, one)
	}
	slices.SortStableFunc(made.Groups, func(a, b planGroup) int { return cmp.Compare(b.Devices, a.Devices) })
	if made.More = max(0, len(made.Groups)-mostGroups); made.More > 0 {
		made.Groups = made.Groups[:mostGroups]
	}
	return made
}

// differences converts differences to lines of the history.
func differences(list []fleet.Difference) (lines []line) {
	for _, one := range list {
		path := clip(one.Path)
		switch one.Kind {
		case "added":
			lines = append(lines, line{one.Kind, "+ " + path + " = " + clip(text(one.After))})
		case "removed":
			lines = append(lines, line{one.Kind, "− " + path + " = " + clip(text(one.Before))})
		default:
			lines = append(lines, line{one.Kind, path + ": " + clip(text(one.Before)) + " → " + clip(text(one.After))})
		}
	}
	return lines
}

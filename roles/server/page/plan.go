package page

import (
	"strings"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// mostPlanned is the number of devices whose differences a plan shows.
const mostPlanned = 200

// mostGroups is the number of groups of devices that a plan shows.
const mostGroups = 20

// A plan is what a change would do, with equal differences of several devices together.
type plan struct {
	Devices int // whose targets change
	Looked  int // at this many of them
	Groups  []planGroup
	More    int // further groups
}

// A planGroup is some devices whose targets change in the same way.
type planGroup struct {
	Devices int
	First   uuid.UUID // one of them
	Lines   []line
}

// Some returns whether the plan shows only some of the devices that change.
func (p *plan) Some() bool { return p.Looked < p.Devices }

func planOf(preview fleet.Preview) *plan {
	made := &plan{Devices: preview.Devices, Looked: len(preview.Changes)}
	at := map[string]int{}
	for _, device := range preview.Changes {
		lines := differences(device.Changes)
		var key strings.Builder
		for _, one := range lines {
			key.WriteString(one.Text + "\n")
		}
		index, known := at[key.String()]
		if !known {
			index = len(made.Groups)
			at[key.String()] = index
			made.Groups = append(made.Groups, planGroup{First: device.ID, Lines: lines})
		}
		made.Groups[index].Devices++
	}
	if more := len(made.Groups) - mostGroups; more > 0 {
		made.Groups, made.More = made.Groups[:mostGroups], more
	}
	return made
}

// differences writes differences as the history does.
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

package page

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// A releasing is a release in the API's form.
type releasing struct {
	serverapi.Release
	Began time.Time
	Bars  []bar
}

// A bar has the states of a stage's devices.
type bar struct {
	serverapi.ReleaseCounts
	Number   int
	Here     bool   // it is the last stage that has begun, and the release is active
	Terms    string // the conditions of this stage and of the next one
	Segments []segment
}

// A segment is a part of a bar for devices in the same state. A bar is 1000 wide.
type segment struct {
	State    string
	From, To int
}

// Wide returns the segment's width.
func (s segment) Wide() int { return s.To - s.From }

// Changes lists the layers of the release.
func (r releasing) Changes() string { return strings.Join(r.Layers, ", ") }

// Stops says when the release stops by itself, and what then happens.
func (r releasing) Stops() string {
	then := "no further stage begins; devices of the stages that have begun keep the change, or get it with their next poll"
	if r.Plan.OnStop == string(release.Undo) {
		then = "it is undone"
	}
	return fmt.Sprintf("If %v%% of the devices that have the change refuse it or fail, or %v%% do not answer within %s, %s.", r.Plan.StopWhen.Failing,
		r.Plan.StopWhen.Silent, r.Plan.StopWhen.Within, then)
}

// termsOf returns the conditions at the beginning and at the end of a stage; "" for none.
func termsOf(plan release.Plan, number int) string {
	var terms []string
	if slices.Contains(plan.Approve, number) {
		terms = append(terms, "begins when a person says go")
	}
	if hold := plan.Stages[number-1].Hold; hold > 0 {
		terms = append(terms, "holds for "+hold.String())
	}
	return strings.Join(terms, ", ")
}

func releasingOf(view fleet.ReleaseView) *releasing {
	shown := &releasing{Release: wire.Release(view), Began: view.At}
	for i, counts := range shown.Stages {
		one := bar{ReleaseCounts: counts, Number: i + 1, Here: shown.Active && i+1 == shown.Stage}
		one.Terms = termsOf(view.Plan, i+1)
		sum := 0
		for _, part := range []struct {
			state   string
			devices int
		}{{fleet.StateInSync.String(), counts.InSync}, {fleet.StateFailed.String(), counts.Failing}, {silent, counts.Silent},
			{fleet.StateBehind.String(), counts.Waiting}} {
			if from := sum; counts.Begun > 0 && part.devices > 0 {
				sum += part.devices
				one.Segments = append(one.Segments, segment{part.state, from * 1000 / max(counts.Devices, 1), sum * 1000 / max(counts.Devices, 1)})
			}
		}
		shown.Bars = append(shown.Bars, one)
	}
	return shown
}

// releasing returns the active release with its present counts, and the words that the caller may say to it; nil if
// there is none.
func (p *Page) releasing(c echo.Context) (*releasing, []offer, error) {
	active := p.fleet.Active()
	if active == nil {
		return nil, nil, nil
	}
	view, err := p.fleet.ShowRelease(c.Request().Context(), active.ID)
	if errors.Is(err, fleet.ErrUnknownRelease) || err == nil && !view.Active() {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return releasingOf(view), p.releaseOffers(c, view, fmt.Sprintf("page/releases/%d/", view.ID)), nil
}

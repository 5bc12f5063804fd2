package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/roster"
)

const (
	// A trend shows a day or a week, or the part of it that has samples, and at least an hour.
	trendDay  = 24 * time.Hour
	trendWeek = fleet.SamplesKept
	leastSpan = time.Hour
	// gap is the time between two samples from which nothing is drawn between them, because no server ran. Samples that
	// are older than a day are sparser.
	gap    = 5 * time.Minute
	oldGap = time.Hour
)

// stacked has the states of the trend from the bottom to the top. Trouble is at the top, where its growth is visible.
var stacked = []fleet.State{fleet.StateInSync, fleet.StateNew, fleet.StateBehind, fleet.StatePending, fleet.StateRevoked,
	fleet.StateDrifted, fleet.StateRefused, fleet.StateFailed}

// A trend is the number of devices in each state over time, as stacked areas in a box of 1000 by 1000.
type trend struct {
	Areas    []area
	Most     int // devices at the top
	From, To time.Time
	Points   int
	Week     bool // it shows a week
}

// An area is a state in a trend.
type area struct {
	State string
	Path  template.HTMLAttr // d="…"
	First int               // devices at the beginning
	Last  int               // devices now
}

const box = 1000

// trendOf draws samples. The present counts are the last point.
func trendOf(samples []fleet.Sample, now roster.List, at time.Time) trend {
	for len(samples) > 0 && !samples[len(samples)-1].At.Before(at) {
		samples = samples[:len(samples)-1]
	}
	samples = append(samples, fleet.Sample{At: at, States: now.States, Silent: now.Silent})
	drawn := trend{To: at, From: samples[0].At, Points: len(samples)}
	if at.Sub(drawn.From) < leastSpan {
		drawn.From = at.Add(-leastSpan)
	}
	for _, sample := range samples {
		sum := 0
		for _, state := range stacked {
			sum += sample.States[state]
		}
		drawn.Most = max(drawn.Most, sum)
	}
	if drawn.Most == 0 || len(samples) < 2 {
		return drawn
	}
	below := make([]int, len(samples)) // devices of the states that are already drawn
	for _, state := range stacked {
		any := false
		top := make([]int, len(samples))
		for i, sample := range samples {
			top[i] = below[i] + sample.States[state]
			any = any || sample.States[state] > 0
		}
		if any {
			drawn.Areas = append(drawn.Areas, area{State: state.String(), Path: drawn.path(samples, below, top),
				First: samples[0].States[state], Last: now.States[state]})
		}
		below = top
	}
	return drawn
}

// path returns the outline of an area. It has several pieces if samples are missing.
func (t trend) path(samples []fleet.Sample, below, top []int) template.HTMLAttr {
	x := func(i int) int64 { return int64(box * samples[i].At.Sub(t.From) / t.To.Sub(t.From)) }
	y := func(devices int) int { return box - box*devices/t.Most }
	var path strings.Builder
	path.WriteString(`d="`)
	for begin := 0; begin < len(samples); {
		end := begin + 1
		for end < len(samples) && samples[end].At.Sub(samples[end-1].At) <= t.gapAt(samples[end-1].At) {
			end++
		}
		for i := begin; i < end; i++ {
			command := "L"
			if i == begin {
				command = "M"
			}
			fmt.Fprintf(&path, "%s%d %d", command, x(i), y(top[i]))
		}
		for i := end - 1; i >= begin; i-- {
			fmt.Fprintf(&path, "L%d %d", x(i), y(below[i]))
		}
		path.WriteString("Z")
		begin = end
	}
	path.WriteString(`"`)
	return template.HTMLAttr(path.String()) //nolint:gosec // digits and letters of its own
}

// gapAt returns the time to the next sample from which on there is a gap. Older samples are sparser.
func (t trend) gapAt(at time.Time) time.Duration {
	if t.To.Sub(at) >= trendDay-oldGap {
		return oldGap
	}
	return gap
}

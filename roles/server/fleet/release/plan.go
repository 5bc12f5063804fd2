// Package release has the rules of a change that reaches a fleet in stages: which devices a stage admits, when a stage
// is complete, and what follows. Its main types are Plan and Progress. It uses no store and no clock: a decision
// depends on the plan, the progress, the counts of devices and the time. Package fleet counts the devices and stores
// the progress.
package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MostStages is the largest number of stages in a plan.
const MostStages = 20

// mostHold is the longest time in a plan.
const mostHold = 90 * 24 * time.Hour

// A Plan says how a change is released.
type Plan struct {
	Stages   []Stage  `json:"stages"` // the last one has all devices
	StopWhen StopWhen `json:"stop-when"`
	OnStop   OnStop   `json:"on-stop"`
	Approve  []int    `json:"approve,omitempty"` // numbers of the stages, from 1, that begin when a person says go
}

// A Stage says which devices get the change in it. Exactly one of Devices, Percent and Selector is set.
type Stage struct {
	Devices  int      `json:"devices,omitempty"`  // how many, together with the stages before
	Percent  Percent  `json:"percent,omitempty"`  // how many of those that the release concerns, together with the stages before
	Selector string   `json:"selector,omitempty"` // those with these labels
	Spread   string   `json:"spread,omitempty"`   // Devices or Percent of the devices of each value of this label
	Hold     Duration `json:"hold,omitempty"`     // for how long the devices have to be well before the next stage
}

// StopWhen says when a release stops by itself. The shares are of the admitted devices.
type StopWhen struct {
	Failing Percent  `json:"failing"`
	Silent  Percent  `json:"silent"`
	Within  Duration `json:"within"` // how long a device may take
}

// OnStop says what a release does when it stops by itself.
type OnStop string

// The values of OnStop.
const (
	Halt OnStop = "halt" // no further stage begins
	Undo OnStop = "undo" // the devices that have it go back, too
)

// A Percent is a share in hundredths of a percent.
type Percent int

// Whole is all devices.
const Whole Percent = 100_00

func (p Percent) String() string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", p/100, p%100), "0"), ".") + "%"
}

// MarshalJSON returns a number of percent.
func (p Percent) MarshalJSON() ([]byte, error) {
	return []byte(strings.TrimSuffix(p.String(), "%")), nil
}

// UnmarshalJSON parses the form of MarshalJSON, or a text that ends with %.
func (p *Percent) UnmarshalJSON(text []byte) error {
	number := string(text)
	if json.Unmarshal(text, &number) == nil {
		number = strings.TrimSpace(strings.TrimSuffix(number, "%"))
	}
	value, err := strconv.ParseFloat(number, 64)
	hundredths := math.Round(value * 100)
	if err != nil || math.Abs(hundredths-value*100) > 1e-6 || hundredths <= 0 || hundredths > float64(Whole) {
		return fmt.Errorf("must be a share between 0.01 and 100 percent, such as 10, not %s", text)
	}
	*p = Percent(hundredths)
	return nil
}

// Of returns the share of a number of devices; at least one unless devices is 0.
func (p Percent) Of(devices int) int {
	if devices == 0 {
		return 0
	}
	return max(1, int(int64(devices)*int64(p)/int64(Whole)))
}

// A Duration is a duration in JSON text form.
type Duration time.Duration

func (d Duration) String() string {
	text := time.Duration(d).String()
	if trimmed, whole := strings.CutSuffix(text, "m0s"); whole {
		text = trimmed + "m"
	}
	if trimmed, whole := strings.CutSuffix(text, "h0m"); whole {
		text = trimmed + "h"
	}
	return text
}

// MarshalJSON returns a text such as "30m".
func (d Duration) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(d.String())), nil }

// UnmarshalJSON parses the form of MarshalJSON.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var word string
	value := time.Duration(-1)
	if json.Unmarshal(text, &word) == nil {
		if parsed, err := time.ParseDuration(word); err == nil {
			value = parsed
		}
	}
	if value < 0 || value > mostHold {
		return fmt.Errorf("must be a time of at most %d days, such as \"30m\" or \"1h30m\", not %s", mostHold/24/time.Hour, text)
	}
	*d = Duration(value)
	return nil
}

// An Error says what is wrong in a plan.
type Error struct {
	Field string // such as stages.1.percent; stages count from 1; "" means the plan
	Text  string
}

func (e *Error) Error() string { return strings.TrimSpace("release." + e.Field + " " + e.Text) }

// The default shares at which a release stops.
const (
	defaultFailing Percent = 2_00
	defaultSilent  Percent = 5_00
)

// Parse parses a plan in JSON, and completes it with a last stage for all devices and the defaults. within is the
// shortest and the default time for a device. selector returns an error for an invalid selector. Errors are *Error.
func Parse(text []byte, within time.Duration, selector func(string) error) (Plan, error) {
	plan := Plan{StopWhen: StopWhen{Failing: defaultFailing, Silent: defaultSilent, Within: Duration(within)}, OnStop: Halt}
	var stages []json.RawMessage
	var stop json.RawMessage
	err := object("", text, map[string]any{"stages": &stages, "stop-when": &stop, "on-stop": (*string)(&plan.OnStop), "approve": &plan.Approve})
	if err != nil {
		return Plan{}, err
	}
	if stop != nil {
		err := object("stop-when", stop, map[string]any{"failing": &plan.StopWhen.Failing, "silent": &plan.StopWhen.Silent,
			"within": &plan.StopWhen.Within})
		if err != nil {
			return Plan{}, err
		}
		if plan.StopWhen.Within < Duration(within) {
			return Plan{}, &Error{"stop-when.within", fmt.Sprintf("must be at least %s, which is one and a half poll intervals: devices that "+
				"are well would be silent", Duration(within))}
		}
	}
	if plan.OnStop != Halt && plan.OnStop != Undo {
		return Plan{}, &Error{"on-stop", fmt.Sprintf("must be %s or %s, not %q", Halt, Undo, plan.OnStop)}
	}
	if len(stages) == 0 || len(stages) > MostStages {
		return Plan{}, &Error{"stages", fmt.Sprintf("must be a list of 1 to %d stages, such as [{\"devices\": 1}, {\"percent\": 10}, "+
			"{\"percent\": 100}]", MostStages)}
	}
	for i, text := range stages {
		stage, err := parseStage(i+1, text, selector)
		if err != nil {
			return Plan{}, err
		}
		plan.Stages = append(plan.Stages, stage)
	}
	if err := plan.complete(); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// object parses the members of an object into places.
func object(field string, text []byte, into map[string]any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return &Error{field, "must be an object with the members " + strings.Join(slices.Sorted(maps.Keys(into)), ", ")}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		place, known := into[name]
		path := strings.TrimPrefix(field+"."+name, ".")
		if !known {
			return &Error{path, "is no member here; there are " + strings.Join(slices.Sorted(maps.Keys(into)), ", ")}
		}
		value := bytes.TrimSpace(members[name])
		if reader, own := place.(json.Unmarshaler); own {
			if err := reader.UnmarshalJSON(value); err != nil {
				return &Error{path, err.Error()}
			}
		} else if err := json.Unmarshal(value, place); err != nil || string(value) == "null" {
			return &Error{path, "must be " + kindOf(place) + ", not " + clip(value)}
		}
	}
	return nil
}

func kindOf(place any) string {
	switch place.(type) {
	case *string:
		return "a text"
	case *int:
		return "a whole number"
	case *[]int:
		return "a list of numbers of stages, such as [2]"
	case *[]json.RawMessage:
		return "a list"
	}
	return "an object"
}

func clip(text []byte) string {
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

func parseStage(number int, text []byte, selector func(string) error) (stage Stage, err error) {
	field := fmt.Sprint("stages.", number)
	devices := 0
	err = object(field, text, map[string]any{"devices": &devices, "percent": &stage.Percent, "selector": &stage.Selector,
		"spread": &stage.Spread, "hold": &stage.Hold})
	if err != nil {
		return Stage{}, err
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members) // object has parsed it before
	kinds := 0
	for _, name := range []string{"devices", "percent", "selector"} {
		if _, there := members[name]; there {
			kinds++
		}
	}
	stage.Devices = devices
	_, spread := members["spread"]
	switch _, counts := members["devices"]; {
	case kinds != 1:
		return Stage{}, &Error{field, "must have one of devices, percent and selector"}
	case counts && (devices < 1 || devices > MostListed):
		return Stage{}, &Error{field + ".devices", fmt.Sprintf("must be 1 to %d, not %d; percent is for more", MostListed, devices)}
	case spread && stage.Spread == "":
		return Stage{}, &Error{field + ".spread", "must be the name of a label"}
	case spread && members["selector"] != nil:
		return Stage{}, &Error{field + ".spread", "belongs to devices or percent; a selector has all devices of its labels"}
	case members["selector"] != nil && stage.Selector == "":
		return Stage{}, &Error{field + ".selector", "must name labels, such as \"ring=canary\"; all devices are percent: 100"}
	}
	if stage.Selector != "" {
		if err := selector(stage.Selector); err != nil {
			return Stage{}, &Error{field + ".selector", "cannot be read: " + err.Error()}
		}
	}
	return stage, nil
}

// complete adds the last stage, and makes the checks that concern several stages.
func (p *Plan) complete() error {
	for i, stage := range p.Stages[:len(p.Stages)-1] {
		next := p.Stages[i+1]
		field := fmt.Sprint("stages.", i+2)
		switch {
		case stage.Percent == Whole:
			return &Error{field, fmt.Sprintf("cannot follow: stage %d has all devices already", i+1)}
		case next.Percent > 0 && next.Percent <= stage.Percent:
			return &Error{field + ".percent", fmt.Sprintf("must be more than the %s of stage %d", stage.Percent, i+1)}
		case next.Devices > 0 && next.Devices <= stage.Devices && next.Spread == stage.Spread:
			return &Error{field + ".devices", fmt.Sprintf("must be more than the %d of stage %d", stage.Devices, i+1)}
		}
	}
	if p.Stages[len(p.Stages)-1].Percent != Whole {
		p.Stages = append(p.Stages, Stage{Percent: Whole})
	}
	slices.Sort(p.Approve)
	p.Approve = slices.Compact(p.Approve)
	for _, number := range p.Approve {
		if number < 1 || number > len(p.Stages) {
			return &Error{"approve", fmt.Sprintf("names stage %d, and there are the stages 1 to %d", number, len(p.Stages))}
		}
	}
	return nil
}

// Load parses a text of Plan.String, for stores.
func Load(text []byte) (plan Plan, err error) {
	if err = json.Unmarshal(text, &plan); err == nil && len(plan.Stages) == 0 {
		err = fmt.Errorf("a plan without stages")
	}
	return plan, err
}

// String returns the plan as JSON.
func (p Plan) String() string {
	text, _ := json.Marshal(p) // numbers and texts always encode
	return string(text)
}

func (s Stage) String() string {
	var text string
	switch {
	case s.Selector != "":
		text = "the devices with " + s.Selector
	case s.Percent == Whole:
		text = "all devices"
	case s.Percent > 0:
		text = s.Percent.String() + " of the devices"
	case s.Devices == 1:
		text = "1 device"
	default:
		text = fmt.Sprint(s.Devices, " devices")
	}
	if s.Spread != "" && s.Percent != Whole {
		text += " of each " + s.Spread
	}
	return text
}

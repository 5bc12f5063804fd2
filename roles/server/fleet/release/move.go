package release

import (
	"fmt"
	"slices"
	"time"
)

// A Phase is a phase of a release.
type Phase string

// The phases.
const (
	Starting Phase = "starting" // the first stage is about to begin
	Rolling  Phase = "rolling"  // the devices of the stage get the change
	Holding  Phase = "holding"  // all of them have it; they have to stay well for some time
	Awaiting Phase = "awaiting" // a person has to say go
	Halted   Phase = "halted"   // it has stopped, by itself or by a person
	Done     Phase = "done"     // all devices may have the change
	Undone   Phase = "undone"   // the layers are again what they were
)

// Ended reports whether the release is over.
func (p Phase) Ended() bool { return p == Done || p == Undone }

// A Progress is the state of a release.
type Progress struct {
	Phase Phase     `json:"phase"`
	Stage int       `json:"stage"` // the number of the last stage that has begun, from 1; 0 before the first
	Since time.Time `json:"since"` // when Phase began
	Admit Admitted  `json:"admit,omitempty"`
	// Resumed is when the release last continued after a halt.
	Resumed time.Time `json:"resumed,omitzero"`
	// Forgiven are the counts with which a person has said go.
	Forgiven Counts `json:"forgiven,omitzero"`
	// Why is the reason of the halt.
	Why string `json:"why,omitempty"`
}

// Admitted has the admissions of the stages that have begun, in order.
type Admitted []Admission

// Stage returns the number, from 1, of the first stage that admits a device; 0 for none.
func (a Admitted) Stage(device Device, matches func(selector string) bool) int {
	for i, admission := range a {
		if admission.Admits(device, matches) {
			return i + 1
		}
	}
	return 0
}

// Counts has the numbers of admitted devices by state.
type Counts struct {
	InSync  int `json:"in-sync"`
	Failing int `json:"failing"` // they refused the change, or failed to apply it
	Silent  int `json:"silent"`  // they were not seen in time, or neither got in sync nor failed in time
	Waiting int `json:"waiting"` // they have time left
	Absent  int `json:"absent"`  // they were silent already when their stage began
}

// Plus returns the sum of both.
func (c Counts) Plus(other Counts) Counts {
	return Counts{InSync: c.InSync + other.InSync, Failing: c.Failing + other.Failing, Silent: c.Silent + other.Silent,
		Waiting: c.Waiting + other.Waiting, Absent: c.Absent + other.Absent}
}

// All returns the number of devices, without the Absent ones.
func (c Counts) All() int { return c.InSync + c.Failing + c.Silent + c.Waiting }

// An Event is something that may move a release on.
type Event string

// The events.
const (
	Look     Event = "count" // a server has counted the devices, by itself
	SaysGo   Event = "go"    // a person says go, halt or undo
	SaysHalt Event = "halt"
	SaysUndo Event = "undo"
)

// A Transition is a row of Table. It applies to an event in one of the phases From if When holds and no row above
// applies.
type Transition struct {
	From []Phase
	On   Event
	When string // "" means always
	To   Phase
	Then string // what else happens

	holds func(*view) bool
	edit  func(*view, *Progress)
}

// A view has everything on which a decision depends.
type view struct {
	plan   Plan
	at     Progress
	counts Counts
	now    time.Time
}

var (
	moving = []Phase{Starting, Rolling, Holding, Awaiting}
	inTime = []Phase{Rolling, Holding}
	active = []Phase{Starting, Rolling, Holding, Awaiting, Halted}
)

// Table has all transitions; docs/operators/releases.md shows it.
var Table = []Transition{
	{From: moving, On: Look, When: "too many devices fail or are silent, and on-stop is undo", To: Undone,
		Then: "the layers become what they were", holds: func(v *view) bool { return v.plan.OnStop == Undo && v.tooMany() != "" }, edit: (*view).blame},
	{From: moving, On: Look, When: "too many devices fail or are silent", To: Halted, holds: func(v *view) bool { return v.tooMany() != "" }, edit: (*view).blame},
	{From: []Phase{Starting}, On: Look, To: Rolling, Then: "the first stage begins", edit: (*view).next},
	{From: []Phase{Rolling}, On: Look, When: "the stage is complete, and has a hold", To: Holding, holds: (*view).mayHold},
	{From: inTime, On: Look, When: "the stage is complete, the hold is over, and it is the last stage", To: Done, holds: (*view).isLast},
	{From: inTime, On: Look, When: "the stage is complete, the hold is over, and the next stage needs an approval", To: Awaiting, holds: (*view).needsPerson},
	{From: inTime, On: Look, When: "the stage is complete, and the hold is over", To: Rolling, Then: "the next stage begins", holds: (*view).isOver, edit: (*view).next},

	{From: inTime, On: SaysGo, When: "no device waits, and it is the last stage", To: Done, holds: func(v *view) bool { return v.counts.Waiting == 0 && v.last() }},
	{From: inTime, On: SaysGo, When: "no device waits", To: Rolling, Then: "the next stage begins", holds: func(v *view) bool { return v.counts.Waiting == 0 }, edit: (*view).next},
	{From: []Phase{Awaiting}, On: SaysGo, To: Rolling, Then: "the next stage begins", edit: (*view).next},
	{From: []Phase{Halted}, On: SaysGo, When: "no stage has begun", To: Rolling, Then: "the first stage begins",
		holds: func(v *view) bool { return v.at.Stage == 0 }, edit: (*view).next},
	{From: []Phase{Halted}, On: SaysGo, To: Rolling, Then: "the stage goes on; devices that fail or are silent now do not stop it again", edit: (*view).forgive},
	{From: moving, On: SaysHalt, To: Halted},
	{From: active, On: SaysUndo, To: Undone, Then: "the layers become what they were"},
}

// Begin returns the progress of a release that begins now, without admitted devices.
func Begin(plan Plan, now time.Time) Progress {
	at := Progress{Phase: Starting, Since: now}
	if slices.Contains(plan.Approve, 1) {
		at.Phase = Awaiting
	}
	return at
}

// Begins reports whether the stage needs its Admission, which is appended to Admit.
func (p Progress) Begins() bool { return len(p.Admit) < p.Stage }

// Move returns the progress after an event, and whether it differs. If its Begins is true, the caller adds the
// admission of the stage.
func Move(plan Plan, at Progress, on Event, counts Counts, now time.Time) (Progress, bool) {
	v := &view{plan, at, counts, now}
	for _, row := range Table {
		if row.On != on || !slices.Contains(row.From, at.Phase) || row.holds != nil && !row.holds(v) {
			continue
		}
		after := at
		after.Phase, after.Since, after.Why = row.To, now, ""
		if row.edit != nil {
			row.edit(v, &after)
		}
		return after, true
	}
	return at, false
}

// tooMany returns why the release must stop; "" if it need not.
func (v *view) tooMany() string {
	all := v.counts.All()
	for _, check := range []struct {
		some, forgiven int
		share          Percent
		what           string
	}{
		{v.counts.Failing, v.at.Forgiven.Failing, v.plan.StopWhen.Failing, "refuse the change or fail to apply it"},
		{v.counts.Silent, v.at.Forgiven.Silent, v.plan.StopWhen.Silent, "are silent"},
	} {
		if more := check.some - check.forgiven; more > 0 && int64(more)*int64(Whole) >= int64(all)*int64(check.share) {
			return fmt.Sprintf("%d of %d devices %s", check.some, all, check.what)
		}
	}
	return ""
}

func (v *view) blame(after *Progress) { after.Why = v.tooMany() }

// complete reports whether no device waits, and at most half of the devices are absent.
func (v *view) complete() bool { return v.counts.Waiting == 0 && v.counts.Absent <= v.counts.All() }

// mayHold reports whether the stage is complete and has a hold.
func (v *view) mayHold() bool { return v.complete() && v.stage().Hold > 0 }

// isOver reports whether the stage is complete and its hold is over.
func (v *view) isOver() bool {
	return v.complete() && (v.stage().Hold == 0 || v.at.Phase == Holding && !v.now.Before(v.at.Since.Add(time.Duration(v.stage().Hold))))
}

func (v *view) stage() Stage { return v.plan.Stages[v.at.Stage-1] }

func (v *view) last() bool { return v.at.Stage == len(v.plan.Stages) }

func (v *view) isLast() bool { return v.last() && v.isOver() }

func (v *view) needsPerson() bool { return slices.Contains(v.plan.Approve, v.at.Stage+1) && v.isOver() }

// next begins the next stage. The caller of Move adds its admission.
func (v *view) next(after *Progress) {
	after.Stage++
}

// forgive continues after a halt.
func (v *view) forgive(after *Progress) {
	after.Resumed = v.now
	after.Forgiven = Counts{Failing: v.counts.Failing, Silent: v.counts.Silent}
}

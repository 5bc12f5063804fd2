package release_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet/release"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A run goes through a release.
type run struct {
	t    *testing.T
	plan release.Plan
	at   release.Progress
	now  time.Time
}

func begin(t *testing.T, text string) *run {
	plan := parse(t, text)
	return &run{t: t, plan: plan, at: release.Begin(plan, noon), now: noon}
}

// on sends an event, and compares.
func (r *run) on(event release.Event, counts release.Counts, phase release.Phase, stage int) {
	r.t.Helper()
	after, moved := release.Move(r.plan, r.at, event, counts, r.now)
	if after.Phase != phase || after.Stage != stage {
		r.t.Fatalf("%s with %+v: stage %d %s, want stage %d %s", event, counts, after.Stage, after.Phase, stage, phase)
	}
	if !moved {
		return
	}
	for after.Begins() {
		after.Admit = append(after.Admit, release.Admission{At: r.now})
	}
	r.at = after
}

func (r *run) pass(d time.Duration) { r.now = r.now.Add(d) }

func waiting(n int) release.Counts { return release.Counts{Waiting: n} }
func well(n int) release.Counts    { return release.Counts{InSync: n} }

func TestGoesThrough(t *testing.T) {
	r := begin(t, `{"stages":[{"devices":1},{"percent":10,"hold":"30m"},{"percent":100}],"approve":[3]}`)
	r.on(release.Look, waiting(0), release.Rolling, 1)
	r.on(release.Look, waiting(1), release.Rolling, 1)
	r.on(release.SaysGo, waiting(1), release.Rolling, 1) // it goes by itself
	r.on(release.Look, well(1), release.Rolling, 2)
	r.on(release.Look, release.Counts{InSync: 9, Waiting: 1}, release.Rolling, 2)
	r.on(release.Look, well(10), release.Holding, 2)
	r.pass(29 * time.Minute)
	r.on(release.Look, well(10), release.Holding, 2)
	r.pass(time.Minute)
	r.on(release.Look, release.Counts{InSync: 10, Waiting: 1}, release.Holding, 2) // one has registered
	r.on(release.Look, well(11), release.Awaiting, 2)
	r.on(release.Look, well(11), release.Awaiting, 2)
	r.on(release.SaysGo, well(11), release.Rolling, 3)
	r.on(release.Look, well(100), release.Done, 3)
	for _, event := range []release.Event{release.Look, release.SaysGo, release.SaysHalt, release.SaysUndo} {
		r.on(event, waiting(1), release.Done, 3)
	}
}

func TestStops(t *testing.T) {
	const plan = `{"stages":[{"percent":10,"hold":"1h"},{"percent":100}],"stop-when":{"failing":2,"silent":5}`
	for counts, stops := range map[release.Counts]bool{
		{InSync: 99, Failing: 1}:            false,
		{InSync: 98, Failing: 2}:            true,
		{InSync: 96, Silent: 4}:             false,
		{InSync: 95, Silent: 5}:             true,
		{Failing: 1}:                        true, // one of one
		{Waiting: 98, Failing: 2}:           true,
		{InSync: 95, Silent: 4, Failing: 1}: false,
		{}:                                  false,
		{Waiting: 999, Failing: 1}:          false,
		{Waiting: 1000, Failing: 19}:        false,
		{Waiting: 1000 - 20, Failing: 20}:   true,
	} {
		for action, phase := range map[string]release.Phase{"undo": release.Undone, "halt": release.Halted} {
			r := begin(t, plan+`,"on-stop":"`+action+`"}`)
			r.on(release.Look, waiting(0), release.Rolling, 1)
			if !stops {
				after, _ := release.Move(r.plan, r.at, release.Look, counts, r.now)
				if after.Phase == phase {
					t.Errorf("%+v stops", counts)
				}
				continue
			}
			r.on(release.Look, counts, phase, 1)
			if r.at.Why == "" {
				t.Error("no reason")
			}
		}
	}
	r := begin(t, plan+`}`)
	r.on(release.Look, waiting(0), release.Rolling, 1)
	r.on(release.Look, well(100), release.Holding, 1)
	r.pass(time.Minute)
	r.on(release.Look, release.Counts{InSync: 90, Silent: 10}, release.Halted, 1) // they died of it amid the hold
	r.on(release.Look, well(100), release.Halted, 1)
	r.on(release.SaysHalt, well(100), release.Halted, 1)
	r.on(release.SaysGo, release.Counts{InSync: 90, Silent: 10}, release.Rolling, 1)
	r.on(release.Look, release.Counts{InSync: 90, Silent: 10}, release.Holding, 1) // a person has seen these ten
	r.on(release.Look, release.Counts{InSync: 86, Silent: 14}, release.Holding, 1)
	r.on(release.Look, release.Counts{InSync: 85, Silent: 15}, release.Halted, 1)
	r.on(release.SaysUndo, release.Counts{}, release.Undone, 1)
}

func TestPersonBeforeTheFirst(t *testing.T) {
	r := begin(t, `{"stages":[{"percent":10}],"approve":[1]}`)
	r.on(release.Look, waiting(0), release.Awaiting, 0)
	r.on(release.SaysHalt, waiting(0), release.Halted, 0)
	r.on(release.SaysGo, waiting(0), release.Rolling, 1)
	r = begin(t, `{"stages":[{"percent":10}],"approve":[1]}`)
	r.on(release.SaysGo, waiting(0), release.Rolling, 1)
	r = begin(t, `{"stages":[{"percent":10}]}`)
	r.on(release.SaysUndo, waiting(0), release.Undone, 0)
}

func TestGoEndsAHold(t *testing.T) {
	r := begin(t, `{"stages":[{"devices":1,"hold":"1h"},{"percent":100,"hold":"1h"}]}`)
	r.on(release.Look, waiting(0), release.Rolling, 1)
	r.on(release.Look, well(1), release.Holding, 1)
	r.on(release.SaysGo, well(1), release.Rolling, 2)
	r.on(release.Look, well(9), release.Holding, 2)
	r.on(release.SaysGo, well(9), release.Done, 2)
}

// TestMostAreAbsent holds a stage whose devices could not be asked.
func TestMostAreAbsent(t *testing.T) {
	r := begin(t, `{"stages":[{"percent":10},{"percent":100}]}`)
	r.on(release.Look, waiting(0), release.Rolling, 1)
	r.on(release.Look, release.Counts{InSync: 4, Absent: 5}, release.Rolling, 1)
	r.on(release.SaysGo, release.Counts{InSync: 4, Waiting: 1, Absent: 5}, release.Rolling, 1)
	r.on(release.SaysGo, release.Counts{InSync: 4, Absent: 5}, release.Rolling, 2) // a person takes it on
	r.on(release.Look, release.Counts{InSync: 40, Absent: 41}, release.Rolling, 2)
	r.on(release.Look, release.Counts{InSync: 41, Absent: 41}, release.Done, 2)
}

// TestEveryRow has random events reach every row of the table, and checks what must hold after each.
func TestEveryRow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	reached := map[int]bool{}
	plans := []string{
		`{"stages":[{"devices":1,"hold":"1m"},{"percent":10},{"percent":100,"hold":"1m"}],"approve":[2]}`,
		`{"stages":[{"devices":1}],"approve":[1],"on-stop":"undo"}`,
		`{"stages":[{"percent":100}]}`,
	}
	for range 2000 {
		r := begin(t, plans[random.IntN(len(plans))])
		for range 30 {
			event := []release.Event{release.Look, release.Look, release.Look, release.SaysGo, release.SaysHalt, release.SaysUndo}[random.IntN(6)]
			counts := release.Counts{InSync: random.IntN(100), Waiting: max(0, random.IntN(4)-2), Failing: max(0, random.IntN(20)-17),
				Silent: max(0, random.IntN(20)-17)}
			before := r.at
			after, moved := release.Move(r.plan, before, event, counts, r.now)
			switch {
			case moved && before.Phase.Ended():
				t.Fatalf("%+v has ended, and becomes %+v", before, after)
			case after.Stage < before.Stage || after.Stage > before.Stage+1 || after.Stage > len(r.plan.Stages):
				t.Fatalf("stage %d follows on stage %d", after.Stage, before.Stage)
			case after.Phase == release.Done && after.Stage < len(r.plan.Stages):
				t.Fatal("done before the last stage")
			case after.Stage > before.Stage && event == release.Look && slices.Contains(r.plan.Approve, after.Stage):
				t.Fatal("nobody said go")
			}
			for after.Begins() {
				after.Admit = append(after.Admit, release.Admission{At: r.now})
			}
			if moved {
				for i, row := range release.Table {
					if row.On == event && slices.Contains(row.From, before.Phase) && row.To == after.Phase {
						reached[i] = true
					}
				}
			}
			r.at = after
			r.pass(time.Duration(random.IntN(40)) * time.Second)
		}
	}
	for i, row := range release.Table {
		if !reached[i] {
			t.Errorf("nothing reaches the row %+v", row)
		}
	}
}

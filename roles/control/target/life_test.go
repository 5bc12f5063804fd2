package target_test

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"aspects-poc/internal/program"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/serverapi"
)

// A life is a device of the test: views, a disk, and a process that performs effects as control does. It may lose the
// process before and after each effect.
type life struct {
	t      *testing.T
	random *rand.Rand
	now    time.Time
	state  target.State
	disk   target.Journal
	shown  map[string]any // what the view shows
	wants  target.Target  // the server's target, whose value is its hash
	full   bool           // the disk
	dead   bool           // the process
	calm   bool           // nothing happens by chance
}

func (l *life) chance(n int) bool { return !l.calm && l.random.IntN(n) == 0 }

// send performs the effects of an event, and those of the events that follow.
func (l *life) send(event target.Event) {
	for next := &event; next != nil && !l.dead; {
		next.Now, next.Random = l.now, l.random.Float64()
		var effects []target.Effect
		l.state, effects = check(l.t, l.state, *next)
		next = nil
		for _, effect := range effects {
			if l.dead = l.chance(20); l.dead {
				return
			}
			if next = l.perform(effect); next != nil {
				break
			}
		}
	}
}

func (l *life) perform(effect target.Effect) *target.Event {
	views := map[string]map[string]any{"v": maps.Clone(l.shown)}
	switch effect {
	case target.Save:
		if !l.full {
			l.disk = stored(l.t, l.state.Journal)
		}
	case target.Record:
		if l.full {
			return &target.Event{Kind: target.NotRecorded, Cause: target.Cause{Text: "disk full"}}
		}
		l.disk = stored(l.t, l.state.Journal)
	case target.Plan:
		event := &target.Event{Kind: target.Planned, Target: l.wants, Current: views, Plan: l.wants.Hash,
			Changes: map[string]map[string]any{"v": {"a": l.wants.Hash, "b": l.wants.Hash}}}
		switch {
		case l.wants.Hash == "against the schema":
			event.Kind, event.Cause = target.PlanRefused, target.Cause{Text: "no"}
		case l.shown["a"] == l.wants.Hash && l.shown["b"] == l.wants.Hash:
			event.Kind = target.Held
		}
		return event
	case target.Write:
		if l.disk.Phase() != target.Writing || l.disk.Attempt.Target != l.state.Attempt.Target {
			l.t.Errorf("%v is written, and the disk has %+v", l.state.Attempt, l.disk.Attempt)
		}
		return l.write()
	case target.Compare:
		shown, missing := l.state.Attempt.Shows(views)
		return &target.Event{Kind: target.Compared, Shown: shown, Missing: missing}
	case target.Undo:
		back := l.state.Attempt.Back(views)
		for request, value := range back["v"] {
			if l.chance(8) {
				return nil // the registry is away
			}
			l.shown[request] = value
		}
		return &target.Event{Kind: target.ChangesUndone}
	}
	return nil
}

// write writes two values, and is cut short or refused by chance.
func (l *life) write() *target.Event {
	for _, request := range []string{"a", "b"} {
		switch {
		case l.chance(10):
			l.dead = true
			return nil
		case l.chance(10):
			l.send(target.Event{Kind: target.WriteFailed, Cause: target.Cause{Text: "the answer was lost"}})
			return nil
		case l.state.Attempt.Hash == "against a rule":
			return &target.Event{Kind: target.WriteRefused, Lasting: true, Cause: target.Cause{Text: "rejected"}}
		}
		l.shown[request] = l.state.Attempt.Changes["v"][request]
	}
	return &target.Event{Kind: target.Written}
}

// cycle is a cycle of control: an answered poll if the server is reached, and the continuation of an attempt.
func (l *life) cycle() {
	if l.dead {
		l.dead = false
		l.state = target.State{Journal: stored(l.t, l.disk)}
		l.send(target.Event{Kind: target.Started})
	}
	l.send(target.Event{Kind: target.CycleBegins})
	if phase := l.state.Phase(); l.dead || phase == target.Writing || phase == target.Undoing {
		return
	}
	reported := l.state.Report()
	if running := reported.Running; running != nil && (l.shown["a"] != running.Hash || l.shown["b"] != running.Hash) {
		l.t.Errorf("%+v is reported as running, and the views show %v", running, l.shown)
	}
	confirms := l.state.Confirming()
	switch {
	case l.chance(4):
		return
	case l.chance(8):
		l.send(target.Event{Kind: target.ServerBusy, RetryAfter: time.Minute})
		return
	case l.shown["a"] == "out of reach" || l.shown["b"] == "out of reach":
		return
	}
	if confirms != nil {
		l.send(target.Event{Kind: target.PollAnswered, Confirms: confirms})
	}
	wanted := reported.Running == nil || reported.Running.Revision != l.wants.Revision
	if refused := reported.Attempted; refused != nil && refused.Outcome == serverapi.Refused && refused.Revision == l.wants.Revision {
		wanted = false
	}
	if wanted && l.wants.Revision > 0 {
		l.send(target.Event{Kind: target.Offered, Target: l.wants})
	} else {
		l.send(target.Event{Kind: target.NotOffered})
	}
}

// FuzzLife lets devices live through crashes, full disks, lost answers and refusals. Whatever happens, a report is true
// and the journal on disk suffices to go on; in the end each target has the end that it deserves.
func FuzzLife(f *testing.F) {
	seeds := uint64(40)
	if program.Raced { // one goroutine: the detector finds nothing here, and takes ten times as long
		seeds = 5
	}
	for seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		l := &life{t: t, random: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1_700_000_000, 0), dead: true,
			shown: map[string]any{"a": "first", "b": "first"}}
		hashes := []string{"good", "better", "against the schema", "against a rule", "out of reach"}
		ask := func(hash string) { l.wants = target.Target{Revision: l.wants.Revision + 1, Hash: hash} }
		for range 150 {
			if l.random.IntN(10) == 0 {
				ask(hashes[l.random.IntN(len(hashes))])
			}
			l.full = l.random.IntN(15) == 0
			l.now = l.now.Add(time.Duration(l.random.IntN(120)) * time.Second)
			l.cycle()
			if t.Failed() {
				return
			}
		}
		l.calm, l.full = true, false
		ends := map[string]string{"good": serverapi.Applied, "better": serverapi.Applied, "against the schema": serverapi.Refused,
			"against a rule": serverapi.Refused, "out of reach": serverapi.Failed}
		for _, hash := range []string{"good", "out of reach", "against a rule", "better", "against the schema", "good"} {
			ask(hash)
			running := l.state.Running
			for range 200 {
				l.now = l.now.Add(30 * time.Second)
				l.cycle()
			}
			for range 100 { // another try of a failed target may be under way
				if l.state.Phase() != target.Idle {
					l.now = l.now.Add(30 * time.Second)
					l.cycle()
				}
			}
			ended := l.state.Attempted
			if ended == nil || ended.Target != l.wants || ended.Outcome != ends[hash] {
				t.Fatalf("%q ended as %+v", hash, ended)
			}
			if ended.Outcome == serverapi.Applied {
				running = &l.wants
			}
			if running == nil || l.state.Running == nil || *l.state.Running != *running || l.shown["a"] != running.Hash {
				t.Fatalf("%q: runs %v, want %v; shows %v", hash, l.state.Running, running, l.shown)
			}
		}
	})
}

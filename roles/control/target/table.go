package target

import "aspects-poc/roles/serverapi"

// A Transition is a row of the table. It applies to an event of kind On in one of the phases From if the condition When
// holds and no row above applies.
type Transition struct {
	From    []Phase
	On      Kind
	When    string // "" means always
	To      Phase  // Same means that the phase stays
	Ends    string // outcome of an attempt that ends here
	Effects []Effect
	Then    string // what else changes in the state, before the effects

	holds func(*State, *Event) bool
	edit  func(Machine, *State, *Event)
}

// Same stands for the phase before the event.
const Same Phase = "same"

var (
	idle        = []Phase{Idle}
	writing     = []Phase{Writing}
	unconfirmed = []Phase{Unconfirmed}
	undoing     = []Phase{Undoing}
	every       = []Phase{Idle, Writing, Unconfirmed, Undoing}

	ended = []Effect{Save, Warn, Poll}
)

// Table has all transitions. docs/safe-apply.md shows it.
var Table = []Transition{
	{From: every, On: Started, To: Same, Then: "begin the pause of a failed target anew", edit: Machine.start},

	{From: idle, On: Offered, When: "its revision was refused before", To: Idle,
		Effects: []Effect{Warn}, holds: wasRefused},
	{From: idle, On: Offered, When: "it failed, and the pause is not over", To: Idle,
		Effects: []Effect{Warn}, holds: pauses},
	{From: idle, On: Offered, To: Idle,
		Effects: []Effect{Plan}, edit: Machine.consider},
	{From: idle, On: NotSigned, When: "it was refused for that before", To: Idle,
		Effects: []Effect{Warn}, holds: wasUnsigned},
	{From: idle, On: NotSigned, To: Idle, Ends: serverapi.Refused,
		Effects: ended, edit: Machine.refuseUnsigned},
	{From: idle, On: NoKeys, When: "the last target was refused because it is not signed", To: Idle,
		Effects: []Effect{Save, Poll}, Then: "forget that it was refused", holds: lastUnsigned, edit: Machine.forget},
	{From: every, On: NotOffered, When: "the last one was not applied", To: Same,
		Effects: []Effect{Warn}, holds: wasNotApplied, edit: Machine.rest},
	{From: every, On: NotOffered, To: Same,
		Effects: []Effect{Clear}, edit: Machine.rest},

	{From: idle, On: PlanRefused, To: Idle, Ends: serverapi.Refused,
		Effects: ended, edit: Machine.refuse},
	{From: idle, On: Held, When: "the journal says so", To: Idle,
		Effects: []Effect{Clear}, holds: isRecorded},
	{From: idle, On: Held, To: Idle, Ends: serverapi.Applied,
		Effects: []Effect{Clear, Save, Poll}, edit: Machine.recordHeld},
	{From: idle, On: Planned, When: "the same writes were refused before", To: Idle,
		Effects: []Effect{Warn}, holds: planWasRefused},
	{From: idle, On: Planned, To: Writing,
		Effects: []Effect{Record, Write}, edit: Machine.begin},

	{From: writing, On: NotRecorded, To: Idle, Ends: serverapi.Failed,
		Effects: ended, edit: Machine.fail},
	{From: writing, On: Written, To: Unconfirmed,
		Effects: []Effect{Save, Poll, Announce, Verify}, edit: Machine.commit},
	{From: writing, On: WriteRefused, When: "it would be again", To: Undoing,
		Effects: []Effect{Save, Undo}, holds: isLasting, edit: Machine.undoRefused},
	{From: writing, On: WriteRefused, To: Undoing,
		Effects: []Effect{Save, Undo}, edit: Machine.undoFailed},
	{From: writing, On: WriteFailed, To: Writing, Then: "remember the error", edit: Machine.doubt},
	{From: writing, On: CycleBegins, To: Writing,
		Effects: []Effect{Compare}},
	{From: writing, On: Compared, When: "they show none of the changes", To: Idle, Ends: serverapi.Failed,
		Effects: ended, holds: showsNone, edit: Machine.drop},
	{From: writing, On: Compared, When: "they show previous values", To: Undoing,
		Effects: []Effect{Save, Undo}, holds: showsPrevious, edit: Machine.giveUp},
	{From: writing, On: Compared, To: Unconfirmed,
		Effects: []Effect{Save, Poll, Announce}, edit: Machine.await},

	{From: unconfirmed, On: PollAnswered, When: "it reported this attempt, and the answer has the proof if one is needed", To: Idle, Ends: serverapi.Applied,
		Effects: []Effect{Clear, Save}, holds: isReported, edit: Machine.confirm},
	{From: unconfirmed, On: ServerBusy, To: Unconfirmed, Then: "postpone the deadline", edit: Machine.extend},
	{From: unconfirmed, On: CycleBegins, When: "control has started again", To: Unconfirmed,
		Effects: []Effect{Compare}, holds: isTakenOver},
	{From: unconfirmed, On: CycleBegins, When: "the deadline has passed", To: Undoing,
		Effects: []Effect{Save, Undo}, holds: isLate, edit: Machine.expire},
	{From: unconfirmed, On: Compared, When: "they show previous values", To: Undoing,
		Effects: []Effect{Save, Undo}, holds: showsPrevious, edit: Machine.giveUp},
	{From: unconfirmed, On: Compared, When: "it is the fifth start without a confirmation", To: Undoing,
		Effects: []Effect{Save, Undo}, holds: startsTooOften, edit: Machine.giveUp},
	{From: unconfirmed, On: Compared, To: Unconfirmed,
		Effects: []Effect{Save, Poll}, edit: Machine.await},

	{From: undoing, On: CycleBegins, To: Undoing,
		Effects: []Effect{Undo}},
	{From: undoing, On: ChangesUndone, To: Idle, Ends: "as the undoing began",
		Effects: ended, edit: Machine.finish},
}

func wasRefused(s *State, e *Event) bool {
	return s.attempted(e.Target, serverapi.Refused) && e.Target.Revision > 0 && !s.Attempted.Unsigned
}

func wasUnsigned(s *State, e *Event) bool {
	return s.attempted(e.Target, serverapi.Refused) && s.Attempted.Unsigned && s.Attempted.Text == e.Cause.Text
}

func lastUnsigned(s *State, _ *Event) bool { return s.Attempted != nil && s.Attempted.Unsigned }

func pauses(s *State, e *Event) bool {
	return s.attempted(e.Target, serverapi.Failed) && e.Now.Before(s.RetryAt)
}

func wasNotApplied(s *State, _ *Event) bool {
	return s.Attempted != nil && s.Attempted.Outcome != serverapi.Applied && s.Attempted.Revision > 0
}

func isRecorded(s *State, e *Event) bool {
	return s.Running != nil && *s.Running == e.Target && s.attempted(e.Target, serverapi.Applied)
}

func planWasRefused(s *State, e *Event) bool {
	return s.attempted(e.Target, serverapi.Refused) && e.Plan == s.plan
}

func isLasting(_ *State, e *Event) bool      { return e.Lasting }
func showsNone(_ *State, e *Event) bool      { return e.Shown == 0 }
func showsPrevious(_ *State, e *Event) bool  { return e.Missing > 0 }
func startsTooOften(s *State, _ *Event) bool { return s.Attempt.Starts >= MostStarts }
func isReported(s *State, e *Event) bool {
	return s.Attempt == e.Confirms && (e.Proven || !s.Attempt.Proof)
}
func isTakenOver(s *State, _ *Event) bool { return s.Deadline.IsZero() }
func isLate(s *State, e *Event) bool      { return !e.Now.Before(s.Deadline) }

// attempted reports whether the last attempt was of this target and ended so.
func (j Journal) attempted(target Target, outcome string) bool {
	return j.Attempted != nil && j.Attempted.Target == target && j.Attempted.Outcome == outcome
}

package target

import (
	"slices"
	"time"
)

// A Machine has the settings of the transitions.
type Machine struct {
	ConfirmWithin time.Duration // how long an attempt may stay unconfirmed
	Once          bool          // the process ends after one cycle, so that pauses do not outlast a start
}

// A State is what a process knows about targets: the journal, and values that are lost when the process ends.
type State struct {
	Journal
	// Deadline is when the unconfirmed attempt is undone. It is zero until this process waits for the confirmation.
	Deadline time.Time
	// RetryAt is when a failed target may be tried again; zero means at once.
	RetryAt time.Time

	extended    time.Duration // by how much Deadline was postponed
	failure     *Cause        // of the write whose result is unknown
	interrupted bool          // the attempt fails only because a process ended
	plan        string        // the last plan that was begun, as JSON
}

// A Kind is a kind of event.
type Kind string

// The kinds of events, with the fields that they use. All use Now, and those that end an attempt use Random.
const (
	Started       Kind = "control starts"
	Offered       Kind = "a target is offered"           // Target
	NotSigned     Kind = "a target is not signed"        // Target, Cause
	NotOffered    Kind = "no target is offered"          //
	NoKeys        Kind = "no operator's key is stored"   // before those of --operator-keys are
	Planned       Kind = "the target is planned"         // Target, Changes, Current, Own, Plan, Proven, Brought, Token
	Held          Kind = "the views hold the target"     // Target, Own
	PlanRefused   Kind = "the plan is refused"           // Target, Cause
	NotRecorded   Kind = "the journal cannot be written" // Cause
	Written       Kind = "the changes are written"       //
	WriteRefused  Kind = "the write is refused"          // Cause, Lasting
	WriteFailed   Kind = "the write fails"               // Cause
	Compared      Kind = "the views are compared"        // Shown, Missing
	PollAnswered  Kind = "a poll is answered"            // Confirms, Proven
	ServerBusy    Kind = "the server is busy"            // RetryAfter
	CycleBegins   Kind = "a cycle begins"                // Cause: why the server is not reached, or empty
	ChangesUndone Kind = "the changes are undone"        // Cause: why a value stays, or empty; Hidden
)

// Kinds lists all kinds of events.
func Kinds() []Kind {
	return []Kind{Started, Offered, NotSigned, NotOffered, NoKeys, Planned, Held, PlanRefused, NotRecorded, Written,
		WriteRefused, WriteFailed, Compared, PollAnswered, ServerBusy, CycleBegins, ChangesUndone}
}

// An Event is something that happened. See the kinds for the fields that are used.
//
// It has many fields because all kinds share one type: the table of transitions takes any event.
type Event struct {
	Kind   Kind
	Now    time.Time
	Random float64 // in [0,1)

	Target     Target
	Changes    map[string]map[string]any // the writes: view -> request path -> value
	Current    map[string]map[string]any // the documents of the views before
	Own        Own                       // the own values that the target replaces
	Plan       string                    // Changes as JSON
	Cause      Cause
	Lasting    bool          // the target itself is refused, and would be again
	Shown      int           // changes that the views show
	Missing    int           // changes whose previous value the views show
	Confirms   *Attempt      // the attempt that the answered poll reported, or nil
	Proven     bool          // the answer, or that with the offer, proves that the server knows device and target
	Brought    bool          // the target came in a file: no server has to confirm it
	Token      string        // a name for the enrolment token; "" for none
	RetryAfter time.Duration // what the busy server asks for
	Hidden     []string      // values that cannot be read, and so not be restored
}

// An Effect is an act that the caller has to perform.
type Effect string

// The effects. The last ones, from Plan on, each lead to another event.
const (
	Save     Effect = "store the journal"               // try again later if that fails
	Warn     Effect = "log why the target ended"        // Journal.Attempted
	Clear    Effect = "log nothing more of the target"  // the target is in order
	Poll     Effect = "poll at once"                    //
	Announce Effect = "print the changes"               // Journal.Attempt
	Verify   Effect = "read back the changes"           //
	Plan     Effect = "plan the target"                 // Planned, Held or PlanRefused
	Record   Effect = "store the journal, or stop here" // NotRecorded if that fails
	Write    Effect = "write the changes"               // Written, WriteRefused or WriteFailed
	Compare  Effect = "compare the views"               // Compared
	Undo     Effect = "restore the previous values"     // ChangesUndone
)

// Step returns the state after an event, and the effects that the caller performs in this order. An event without a
// transition changes nothing. Step does not modify its arguments.
func (m Machine) Step(state State, event *Event) (State, []Effect) {
	phase := state.Phase()
	for i := range Table {
		transition := &Table[i]
		if transition.On == event.Kind && slices.Contains(transition.From, phase) &&
			(transition.holds == nil || transition.holds(&state, event)) {
			if transition.edit != nil {
				transition.edit(m, &state, event)
			}
			return state, transition.Effects
		}
	}
	return state, nil
}

package fleet

import (
	"fmt"
	"slices"
)

// A State is what the reports of a device come to, in a word.
type State byte

// The states. The values are kept in stores, but for the last three, which follow from the status or from there being no
// report.
const (
	StateUnknown State = 0 // nothing is derived yet
	StateInSync  State = 1 // it runs the desired target, and shows nothing that contradicts it
	StateRefused State = 2 // it found the desired target unacceptable
	StateFailed  State = 3 // it could not apply the desired target, and has gone back
	StateDrifted State = 4 // it runs the desired target, but shows values that contradict it
	StateBehind  State = 5 // all else: it has not tried the desired target yet, or has not told
	StatePending State = 6
	StateRevoked State = 7
	StateNew     State = 8 // it has registered, and not polled yet
)

var stateNames = []string{"unknown", "in-sync", "refused", "failed", "drifted", "behind", "pending", "revoked", "new"}

// derive decides a device's state from what is kept of it: nothing else does. The verdict is of its last report. It holds
// for the revision for which it was derived, and settled tells whether that is the desired one, or one that differs from it in
// what operators have signed only. Where it is not, a device
// that says what it runs is behind: a report that named a later revision would have been judged by that one (targetOf).
// One that says nothing of it is to be judged by what it shows.
func derive(status Status, verdict Verdict, desired wanted) (state State, settled bool) {
	switch {
	case status == Pending:
		return StatePending, true
	case status == Revoked:
		return StateRevoked, true
	case verdict.State == StateUnknown: // there is no report
		return StateNew, true
	case verdict.Revision == desired.Revision:
		return verdict.State, true
	case (verdict.State == StateInSync || verdict.State == StateDrifted) && verdict.Revision >= desired.Since && verdict.Revision < desired.Revision:
		return verdict.State, true
	}
	return StateBehind, false
}

// stateOf is a device's state. Of one that does not say what it runs, Config is needed.
func (t Target) stateOf(device Device) (State, error) {
	state, settled := derive(device.Status, device.Verdict, t.wanted)
	if settled || !device.Mute() {
		return state, nil
	}
	verdict, err := t.judge(device.Report)
	return verdict.State, err
}

// Mute tells that a report does not say what the device runs.
func (r Report) Mute() bool { return r.Running == (Running{}) }

// differs tells whether what a device reports now has to be kept: it says something else than its last report, or is a
// later one, or the state that follows from it is not the one that follows from what is kept.
func (d Device) differs(report Report, desired wanted) bool {
	switch {
	case d.Report.At.IsZero() || contentOf(d.Report, report.Sequence) != contentOf(report, report.Sequence):
		return true
	case report.Sequence > d.Sequence:
		return true
	case report.Mute():
		return d.Verdict != report.Verdict // else it would be judged anew each time
	}
	state, _ := derive(Active, d.Verdict, desired)
	return state != report.Verdict.State
}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", byte(s))
}

// StateNames returns the words for states, but for that of an unknown one, which callers never see.
func StateNames() []string { return slices.Clone(stateNames[1:]) }

// ParseState reads a word for a state.
func ParseState(name string) (State, bool) {
	at := slices.Index(stateNames, name)
	return State(max(at, 0)), at > 0
}

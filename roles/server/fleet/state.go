package fleet

import (
	"fmt"
	"slices"
)

// A State summarises what a device has reported.
type State byte

// The states. Stores contain the values, except the last three, which follow from the status or from the lack of a
// report.
const (
	StateUnknown State = 0 // no state is derived yet
	StateInSync  State = 1 // it runs the desired target, and shows no value that contradicts it
	StateRefused State = 2 // it has refused the desired target
	StateFailed  State = 3 // it could not apply the desired target, and has restored its previous values
	StateDrifted State = 4 // it runs the desired target, but shows values that contradict it
	StateBehind  State = 5 // all other cases: it has not tried the desired target yet, or has not reported that
	StatePending State = 6
	StateRevoked State = 7
	StateNew     State = 8 // it has registered, and has not polled yet
)

var stateNames = []string{"unknown", "in-sync", "refused", "failed", "drifted", "behind", "pending", "revoked", "new"}

// derive decides a device's state from its stored values. No other function does. verdict is of the device's last
// report. settled reports whether the verdict is for the desired revision, or for one that differs from it only in
// signatures. If not, a device that reports what it runs is behind: a report that named a later revision would have
// been judged by that one (targetOf). A device that does not report that must be judged by what it shows.
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

// stateOf returns a device's state. For a device that does not report what it runs, it needs Config.
func (t Target) stateOf(device Device) (State, error) {
	state, settled := derive(device.Status, device.Verdict, t.wanted)
	if settled || !device.Mute() {
		return state, nil
	}
	verdict, err := t.judge(device.Report)
	return verdict.State, err
}

// Mute reports whether a report does not say what the device runs.
func (r Report) Mute() bool { return r.Running == (Running{}) }

// differs reports whether a device's new report must be stored: it has other content than the last report, or is a
// later one, or leads to another state than the stored one.
func (d Device) differs(report Report, desired wanted) bool {
	switch {
	case d.Report.At.IsZero() || contentOf(d.Report, report.Sequence) != contentOf(report, report.Sequence):
		return true
	case report.Sequence > d.Sequence:
		return true
	case report.Mute():
		return d.Verdict != report.Verdict // otherwise it would be judged again each time
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

// StateNames returns the words for the states, without the unknown one, which callers never see.
func StateNames() []string { return slices.Clone(stateNames[1:]) }

// ParseState parses the word for a state.
func ParseState(name string) (State, bool) {
	at := slices.Index(stateNames, name)
	return State(max(at, 0)), at > 0
}

package fleet

import (
	"fmt"
	"slices"
)

// A State is what the reports of a device come to, in a word.
type State byte

// The states. The values are kept in stores; the last two are derived from the status alone, and are not.
const (
	StateUnknown State = 0 // nothing is derived yet
	StateInSync  State = 1 // it runs the desired target, and shows nothing that contradicts it
	StateRefused State = 2 // it found the desired target unacceptable
	StateFailed  State = 3 // it could not apply the desired target, and has gone back
	StateDrifted State = 4 // it runs the desired target, but shows values that contradict it
	StateBehind  State = 5 // all else: it has not tried the desired target yet, or has not told
	StatePending State = 6
	StateRevoked State = 7
)

var stateNames = []string{"unknown", "in-sync", "refused", "failed", "drifted", "behind", "pending", "revoked"}

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

package target_test

import (
	"testing"
	"time"

	"aspects-poc/roles/control/target"
)

// TestProof: an attempt that changes the server, and one of a server that has sent a proof, is confirmed by a proof only.
func TestProof(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	telemetry := map[string]map[string]any{"control-telemetry": {"sample-rate": "1"}}
	move := map[string]map[string]any{"control-device": {"server-url": "http://b/"}}
	for _, test := range []struct {
		changes      map[string]map[string]any
		offered      bool // with a proof
		proven, ends bool
	}{
		{telemetry, false, false, true}, {telemetry, false, true, true}, {telemetry, true, false, false},
		{telemetry, true, true, true}, {move, false, false, false}, {move, false, true, true},
	} {
		state := target.State{}
		for _, event := range []target.Event{
			{Kind: target.Planned, Target: target.Target{Revision: 1}, Changes: test.changes, Proven: test.offered, Token: "t",
				Current: map[string]map[string]any{"control-device": {"server-url": "http://a"}}},
			{Kind: target.Written},
		} {
			event.Now = now
			state, _ = check(t, state, event)
		}
		state, _ = check(t, state, target.Event{Kind: target.PollAnswered, Now: now, Confirms: state.Attempt, Proven: test.proven})
		if ends := state.Attempt == nil; ends != test.ends {
			t.Errorf("%+v: the attempt ends: %v", test, ends)
		}
		_, moves := test.changes["control-device"]
		if withheld := state.Withholds("http://b", "t"); withheld != moves || state.Withholds("http://b", "another") ||
			state.Withholds("http://a", "t") {
			t.Errorf("%+v: the token is withheld: %v, %+v", test, withheld, state.Moved)
		}
	}
}

// Package target decides what control does with targets: which one it applies, when it undoes one, and when it tries
// again. It holds the journal of targets and one table of transitions, and it does nothing by itself: no disk, clock,
// server or registry. Its main type is State.
//
//	state, effects = machine.Step(state, &target.Event{Kind: target.Offered, Now: time.Now(), Target: offered})
//
// The caller performs the effects in their order and sends what comes of them as further events. It stores
// State.Journal where an effect says so. The journal suffices to go on after a crash: a new process begins with
// State{Journal: stored} and the event Started.
package target

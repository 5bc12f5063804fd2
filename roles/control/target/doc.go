// Package target decides what control does with targets: which one it applies, when it undoes one, and when it tries
// again. It has the journal of targets and one table of transitions. It uses no disk, clock, server or registry. Its
// main types are State and Machine.
//
//	state, effects = machine.Step(state, &target.Event{Kind: target.Offered, Now: time.Now(), Target: offered})
//
// The caller performs the effects in order and sends their results as further events. It stores State.Journal when an
// effect says so. The journal is enough to continue after a crash: a new process begins with State{Journal: stored} and
// the event Started.
package target

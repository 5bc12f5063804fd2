package target

import (
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"
)

// MostStarts is how many consecutive processes may wait for a confirmation. A target that makes control crash must not
// stay in force.
const MostStarts = 5

// The pause before a failed target is tried again grows from ShortestRetry to LongestRetry.
const (
	ShortestRetry = time.Minute
	LongestRetry  = time.Hour
)

// mostExtensions limits how often, in units of ConfirmWithin, a busy server can postpone the end of an attempt.
const mostExtensions = 10

// start sets the pause of a target that failed before the process started. The whole pause begins again, because clocks
// cannot be compared across restarts.
func (m Machine) start(s *State, e *Event) {
	if !m.Once && s.Attempted != nil && s.Attempted.Outcome == serverapi.Failed {
		s.RetryAt = e.Now.Add(s.pause(e.Random))
	}
}

// consider ends the pause that another target has caused.
func (m Machine) consider(s *State, e *Event) {
	if s.Attempted == nil || s.Attempted.Target != e.Target {
		s.RetryAt = time.Time{}
	}
}

// rest clears the plan and the pause that prevented an attempt.
func (m Machine) rest(s *State, _ *Event) { s.plan, s.RetryAt = "", time.Time{} }

// recordHeld records a target that the views hold already.
func (m Machine) recordHeld(s *State, e *Event) {
	running := e.Target
	s.Running, s.Own, s.Tries = &running, e.Own, 0
	s.Attempted = &Outcome{Target: e.Target, Outcome: serverapi.Applied, At: e.Now.Unix()}
}

// begin starts an attempt.
func (m Machine) begin(s *State, e *Event) {
	s.Attempt = &Attempt{Target: e.Target, Phase: Writing, Changes: e.Changes, Before: previous(e.Changes, e.Current),
		Own: e.Own, Move: s.move(e.Changes, e.Current, e.Token), Brought: e.Brought}
	s.Attempt.Proof = e.Proven || s.Attempt.Move != nil
	s.plan, s.Deadline, s.failure, s.interrupted = e.Plan, time.Time{}, nil, false
}

// commit begins the wait for the server after the commit.
func (m Machine) commit(s *State, e *Event) {
	s.plan = ""
	m.await(s, e)
}

// await begins the wait for the server, after the commit or in a new process.
func (m Machine) await(s *State, e *Event) {
	waiting := *s.Attempt
	if waiting.Phase == Writing {
		waiting.At = e.Now.Unix()
	}
	waiting.Phase = Unconfirmed
	waiting.Starts++
	s.Attempt = &waiting
	s.Deadline, s.extended, s.failure = e.Now.Add(m.ConfirmWithin), 0, nil
}

// doubt records why the result of the write is unknown.
func (m Machine) doubt(s *State, e *Event) {
	failure := e.Cause
	s.failure = &failure
}

// confirm ends the attempt with success.
func (m Machine) confirm(s *State, _ *Event) {
	attempt := s.Attempt
	s.Attempt, s.Running, s.Own, s.Tries, s.Deadline = nil, &attempt.Target, attempt.Own, 0, time.Time{}
	if attempt.Move != nil {
		s.Moved = attempt.Move
	}
	s.Attempted = &Outcome{Target: attempt.Target, Outcome: serverapi.Applied, At: attempt.At}
}

// extend postpones the deadline while the server answers that it is busy.
func (m Machine) extend(s *State, e *Event) {
	left, needed := s.Deadline.Sub(e.Now), 2*e.RetryAfter+m.ConfirmWithin/2
	if s.Deadline.IsZero() || s.extended >= mostExtensions*m.ConfirmWithin || needed <= left {
		return
	}
	s.extended += needed - left
	s.Deadline = e.Now.Add(needed)
}

// drop ends an attempt that wrote nothing.
func (m Machine) drop(s *State, e *Event) {
	m.end(s, e, outcome(s.Attempt.Target, serverapi.Failed, m.blame(s), e))
}

// giveUp begins to undo an attempt that a new process or an error has found half done, or with which control has
// started too often.
func (m Machine) giveUp(s *State, e *Event) {
	s.undo(serverapi.Failed, m.blame(s), e)
}

// blame returns why an attempt stopped: the error of its write, or the end of a process. The end of a process alone,
// such as a power cut, is not the target's fault.
func (m Machine) blame(s *State) *Cause {
	s.interrupted = s.failure == nil && s.Attempt.Starts < MostStarts
	if s.failure != nil {
		return s.failure
	}
	return because("control was ended before the target was confirmed")
}

// expire begins to undo an attempt that no poll confirmed in time.
func (m Machine) expire(s *State, e *Event) {
	reason := fmt.Sprintf("the server was not reached within %v of it", m.ConfirmWithin)
	if e.Cause.Text != "" {
		reason += ": " + e.Cause.Text
	}
	s.undo(serverapi.Failed, because(reason), e)
}

// undoRefused begins to undo an attempt that then ends as refused.
func (m Machine) undoRefused(s *State, e *Event) { s.undo(serverapi.Refused, &e.Cause, e) }

// undoFailed begins to undo an attempt that then ends as failed.
func (m Machine) undoFailed(s *State, e *Event) { s.undo(serverapi.Failed, &e.Cause, e) }

// undo begins to undo the attempt. end is its outcome once the changes are undone.
func (s *State) undo(end string, cause *Cause, e *Event) {
	undone := *s.Attempt
	undone.Phase, undone.End = Undoing, outcome(undone.Target, end, cause, e)
	s.Attempt = &undone
}

// finish ends the attempt after its changes are undone. If a value stays, neither this target nor the last one is in
// force.
func (m Machine) finish(s *State, e *Event) {
	end := *s.Attempt.End
	if e.Cause.Text != "" {
		end.add("; and what was there before could not be put back: " + e.Cause.Text)
		s.Running = nil
	}
	if len(e.Hidden) > 0 {
		end.add("; " + strings.Join(e.Hidden, ", ") + " cannot be read, and so not be put back")
	}
	m.end(s, e, &end)
}

// refuse ends a target as refused before an attempt.
func (m Machine) refuse(s *State, e *Event) {
	m.end(s, e, outcome(e.Target, serverapi.Refused, &e.Cause, e))
}

// refuseUnsigned ends a target without an operator's signature as refused. The server may offer the same target again
// with a signature.
func (m Machine) refuseUnsigned(s *State, e *Event) {
	end := outcome(e.Target, serverapi.Refused, &e.Cause, e)
	end.Unsigned = true
	m.end(s, e, end)
}

// forget clears the last attempt. A server does not offer a revision again that the device reports as refused.
func (m Machine) forget(s *State, _ *Event) { s.Attempted = nil }

// fail ends an attempt that could not be recorded. Its outcome is failed.
func (m Machine) fail(s *State, e *Event) {
	m.end(s, e, outcome(s.Attempt.Target, serverapi.Failed, &e.Cause, e))
}

func outcome(target Target, outcome string, cause *Cause, e *Event) *Outcome {
	return &Outcome{Target: target, Outcome: outcome, Cause: *cause, At: e.Now.Unix()}
}

// end ends an attempt without success. It counts failures in a row, and sets the pause after one.
func (m Machine) end(s *State, e *Event, end *Outcome) {
	again := s.attempted(end.Target, end.Outcome)
	if !again {
		s.Tries = 0
	}
	if end.Outcome == serverapi.Failed {
		s.Tries++
		s.RetryAt = e.Now.Add(s.pause(e.Random))
		if s.interrupted && (m.Once || s.Tries <= 1) {
			s.RetryAt = time.Time{}
		}
	} else if again && s.Attempted.Path == end.Path && s.Attempted.Reason == end.Reason {
		end.At = s.Attempted.At // the same as before
	}
	s.Attempt, s.Attempted = nil, end
	s.Deadline, s.failure, s.interrupted = time.Time{}, nil, false
}

// pause returns the pause before a failed target is tried again. It doubles with each failure. Half of it is random.
func (j Journal) pause(random float64) time.Duration {
	pause := ShortestRetry
	for range j.Tries - 1 {
		if pause *= 2; pause >= LongestRetry {
			pause = LongestRetry
			break
		}
	}
	return pause/2 + time.Duration(random*float64(pause/2))
}

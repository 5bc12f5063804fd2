package control

import (
	"time"

	"aspects-poc/roles/serverapi"
)

// When to poll. The server says how far apart polls are, chance spreads them, and where the server can hold a poll back
// it does so until the next one is due: as many polls as without, and none of a change's waiting.

// probe is the wait that a poll asks for to find out whether the server holds polls back at all.
const probe = time.Second

// shortestHold is what a wait is not made shorter than when connections are cut off.
const shortestHold = 20 * time.Second

// The bounds of what a server may ask for as interval.
const (
	leastPollInterval = time.Second
	mostPollInterval  = 24 * time.Hour
)

// patience returns for how long a poll lets the server hold its answer back.
func (a *agent) patience(exchange exchange) time.Duration {
	retrying := !a.tryAt.IsZero() && !exchange.started.Before(a.tryAt) // what is offered already is wanted now
	switch {
	case !a.Wait || a.once || exchange.confirms != nil || retrying || a.retry.Failures() > 0:
		return 0
	case !a.holds:
		return probe
	}
	wait := exchange.next.Sub(exchange.started)
	if !a.tryAt.IsZero() {
		wait = min(wait, a.tryAt.Sub(exchange.started))
	}
	return min(wait, a.longest).Truncate(time.Second)
}

// obey takes over what a server has said about polling.
func (a *agent) obey(result outcome) {
	answer := result.answer
	if result.wait > 0 {
		a.holds = answer.Waited > 0
	}
	if a.holds && result.wait <= probe {
		a.soon() // to one that is held
	}
	if held := time.Since(result.started); a.holds && held >= a.longest {
		a.longest = min(a.longest*5/4, serverapi.MaxWait*time.Second) // it was not cut off
	}
	if answer.Interval == 0 {
		return
	}
	interval := min(max(answer.Interval, leastPollInterval), mostPollInterval)
	if seconds := int64(interval / time.Second); seconds != a.journal.PollInterval {
		a.pollAt = result.started.Add(time.Duration(float64(result.next.Sub(result.started)) *
			float64(interval) / float64(a.interval())))
		next := a.journal.Journal
		next.PollInterval = seconds
		if a.journal.ours() {
			a.keep(next)
		} else {
			a.journal.Journal = next
		}
	}
}

// interval is how far apart polls are on average.
func (a *agent) interval() time.Duration {
	if known := a.journal.PollInterval; known > 0 {
		return time.Duration(known) * time.Second
	}
	return a.pace.Interval
}

// jitteredInterval returns how long after the start of a poll the next one starts.
func (a *agent) jitteredInterval() time.Duration {
	return max(time.Duration((0.8+0.4*a.random())*float64(a.interval())), time.Millisecond)
}

// hastened is how long to wait after an error: not as long while an attempt waits for its confirmation.
func (a *agent) hastened(pause time.Duration) time.Duration {
	if a.confirming() == nil {
		return pause
	}
	return min(pause, a.ConfirmWithin/10)
}

// mostExtensions bounds by how many times ConfirmWithin a busy server can put off the end of an attempt.
const mostExtensions = 10

// extend gives an attempt more time while the server says that it is too busy: it was reached, after all.
func (a *agent) extend(after time.Duration) {
	if a.confirming() == nil || a.extended >= mostExtensions*a.ConfirmWithin {
		return
	}
	by := time.Until(a.confirmBy)
	if needed := 2*after + a.ConfirmWithin/2; needed > by {
		a.extended += needed - by
		a.confirmBy = time.Now().Add(needed)
	}
}

// confirming returns the attempt that a poll started now would confirm; nil for none.
func (a *agent) confirming() *Attempt {
	if attempt := a.journal.Attempt; a.journal.ours() && attempt != nil && attempt.Phase == unconfirmed {
		return attempt
	}
	return nil
}

package control

import (
	"time"

	"aspects-poc/roles/serverapi"
)

// The times of polls. The server says the interval, and a random part spreads the polls. If the server can hold a
// poll, it does so until the next one is due: the number of polls stays the same, and a change reaches the device at
// once.

// probe is the wait of a poll that finds out whether the server holds polls.
const probe = time.Second

// shortestHold is the shortest wait after connections were cut off.
const shortestHold = 20 * time.Second

// The bounds of the server's interval.
const (
	leastPollInterval = time.Second
	mostPollInterval  = 24 * time.Hour
)

// patience returns how long the server may hold a poll.
func (a *agent) patience(exchange exchange) time.Duration {
	retrying := !a.tryAt.IsZero() && !exchange.started.Before(a.tryAt) // the present offer is wanted now
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

// obey adopts what the server says about polling.
func (a *agent) obey(result outcome) {
	answer := result.answer
	if result.wait > 0 {
		a.holds = answer.Waited > 0
	}
	if a.holds && result.wait <= probe {
		a.soon() // the next poll is held
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

// interval returns the average time between polls.
func (a *agent) interval() time.Duration {
	if known := a.journal.PollInterval; known > 0 {
		return time.Duration(known) * time.Second
	}
	return a.pace.Interval
}

// jitteredInterval returns the time from the start of a poll to that of the next.
func (a *agent) jitteredInterval() time.Duration {
	return max(time.Duration((0.8+0.4*a.random())*float64(a.interval())), time.Millisecond)
}

// hastened shortens a pause after an error while an attempt waits for its confirmation.
func (a *agent) hastened(pause time.Duration) time.Duration {
	if a.confirming() == nil {
		return pause
	}
	return min(pause, a.ConfirmWithin/10)
}

// mostExtensions limits how often, in units of ConfirmWithin, a busy server can postpone the end of an attempt.
const mostExtensions = 10

// extend postpones the end of an attempt while the server says that it is busy, since the server was reached.
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

// confirming returns the attempt that an answered poll would confirm, or nil.
func (a *agent) confirming() *Attempt {
	if attempt := a.journal.Attempt; a.journal.ours() && attempt != nil && attempt.Phase == unconfirmed {
		return attempt
	}
	return nil
}

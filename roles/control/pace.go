package control

import (
	"time"

	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"
)

// probe is the wait of a poll that finds out whether the server holds polls.
const probe = time.Second

// shortestHold is the shortest wait after connections were cut off.
const shortestHold = 20 * time.Second

// mostCalls is how many exchanges may start at once between two counts. It is enough for a registration, a poll and a
// report of the applied target, and for the same again after another registration or a change of server.
const mostCalls = 6

// The bounds of the server's interval.
const (
	leastPollInterval = time.Second
	mostPollInterval  = 24 * time.Hour
)

// schedule decides when the next exchange starts, and how long the server may hold a poll. The server says the
// interval, and a random part spreads the polls. If the server can hold a poll, it does so until the next one is due:
// the number of polls stays the same, and a change reaches the device at once.
type schedule struct {
	mayHold  bool          // the server may hold polls: --wait, and not --once
	standard time.Duration // interval for a server that says none
	random   func() float64

	atOnce  bool      // start an exchange at once
	at      time.Time // start the next exchange then
	calls   int       // exchanges started at once since the last count
	retry   poll.Backoff
	holds   bool          // the server holds polls
	longest time.Duration // longest time for which a poll may be held
}

// A standing has the state of the targets that decides when the next exchange starts.
type standing struct {
	interval time.Duration   // of the server; 0 if it has not said one
	confirms *target.Attempt // the attempt that an answer confirms, or nil
	within   time.Duration   // how long such an attempt may wait
	retryAt  time.Time       // a failed target is not tried again before; zero means at once
}

// due reports whether an exchange is due.
func (s *schedule) due() bool { return s.atOnce || !time.Now().Before(s.at) }

// soon makes the next exchange start at once, up to mostCalls times between two counts.
func (s *schedule) soon() {
	if s.calls < mostCalls {
		s.atOnce = true
	}
}

// reset discards what the schedule has learnt about a server. Call it after a change of server.
func (s *schedule) reset() {
	s.retry.Reset()
	s.holds, s.longest = false, serverapi.MaxWait*time.Second
}

// spread makes the first exchange of a process start at a random time within the server's interval, because a whole
// fleet may have been switched on at the same time.
func (s *schedule) spread(interval time.Duration) {
	s.at = time.Now().Add(time.Duration(s.random() * float64(interval)))
}

// interval returns the average time between polls.
func (s *schedule) interval(server time.Duration) time.Duration {
	if server > 0 {
		return server
	}
	return s.standard
}

// next returns when the exchange after one that starts now is due.
func (s *schedule) next(server time.Duration) time.Time {
	return time.Now().Add(max(time.Duration((0.8+0.4*s.random())*float64(s.interval(server))), time.Millisecond))
}

// patience returns how long the server may hold a poll.
func (s *schedule) patience(exchange *exchange, retryAt time.Time) time.Duration {
	retrying := !retryAt.IsZero() && !exchange.started.Before(retryAt) // the present offer is due
	switch {
	case !s.mayHold || exchange.confirms != nil || retrying || s.retry.Failures() > 0:
		return 0
	case !s.holds:
		return probe
	}
	wait := exchange.next.Sub(exchange.started)
	if !retryAt.IsZero() {
		wait = min(wait, retryAt.Sub(exchange.started))
	}
	return min(wait, s.longest).Truncate(time.Second)
}

// adopt applies what an answered poll says about polling. It returns the server's interval, or 0 if the interval has
// not changed.
func (s *schedule) adopt(result *outcome, known time.Duration) time.Duration {
	answer := result.answer
	if result.wait > 0 {
		s.holds = answer.Waited > 0
	}
	if s.holds && result.wait <= probe {
		s.soon() // the next poll is held
	}
	if held := time.Since(result.started); s.holds && held >= s.longest {
		s.longest = min(s.longest*5/4, serverapi.MaxWait*time.Second) // the last poll was not cut off
	}
	if answer.Interval == 0 {
		return 0
	}
	interval := min(max(answer.Interval, leastPollInterval), mostPollInterval)
	if interval/time.Second == known/time.Second {
		return 0
	}
	s.at = result.started.Add(time.Duration(float64(result.next.Sub(result.started)) *
		float64(interval) / float64(s.interval(known))))
	return interval
}

// postpone schedules the next exchange after an error. The pauses grow, up to a part of the time in which an attempt
// must be confirmed. after is the pause that the server asked for, or 0.
func (s *schedule) postpone(after time.Duration, now standing) (pause time.Duration) {
	pause = s.retry.Next()
	if now.confirms != nil {
		pause = min(pause, now.within/10)
	}
	if after > 0 {
		// Many devices may have got the same pause.
		pause = after + time.Duration(s.random()*float64(after))
	}
	s.atOnce, s.at = false, time.Now().Add(pause)
	return pause
}

// shorten schedules the next exchange after a held poll was cut off, and shortens the wait of the next polls.
func (s *schedule) shorten(held time.Duration) (pause time.Duration) {
	s.longest = max(held*3/4, shortestHold)
	pause = s.retry.Next()
	s.at = time.Now().Add(pause)
	return pause
}

package poll

import (
	"math/rand/v2"
	"time"
)

// A Backoff spaces out retries: each pause is longer than the one before, up to a cap, and jittered, so that a fleet of
// devices does not come back at the same moment. The zero value pauses 1 s, 2 s, 4 s … up to 5 min. It is not safe for
// concurrent use.
type Backoff struct {
	Min    time.Duration // first pause before jitter; 0 means 1 s
	Max    time.Duration // cap before jitter; 0 means 5 min
	Factor float64       // growth; less than 1 means 2
	// Jitter is the share of a pause that chance decides: 0.2 makes 10 s into 8 s to 10 s. 0 means 0.5, less than 0
	// none.
	Jitter float64
	// Random returns numbers in [0,1); nil means math/rand/v2.
	Random func() float64

	failures int
}

// Next returns the pause before the next try, and counts a failure.
func (b *Backoff) Next() time.Duration {
	pause, limit, factor, jitter, random := b.Min, b.Max, b.Factor, b.Jitter, b.Random
	if pause <= 0 {
		pause = time.Second
	}
	if limit <= 0 {
		limit = 5 * time.Minute
	}
	if factor < 1 {
		factor = 2
	}
	if jitter == 0 {
		jitter = 0.5
	}
	if random == nil {
		random = rand.Float64
	}
	seconds := pause.Seconds()
	for range b.failures {
		if seconds *= factor; seconds >= limit.Seconds() {
			break
		}
	}
	b.failures++
	seconds = min(seconds, limit.Seconds())
	if jitter > 0 {
		seconds *= 1 - min(jitter, 1)*random()
	}
	return time.Duration(seconds * float64(time.Second))
}

// Failures returns how often Next was asked since the last Reset.
func (b *Backoff) Failures() int { return b.failures }

// Reset starts again with the first pause: call it after a success.
func (b *Backoff) Reset() { b.failures = 0 }

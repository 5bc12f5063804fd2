package poll

import (
	"math/rand/v2"
	"time"
)

// A Backoff returns pauses between retries. Each is longer than the one before, up to a limit, and partly random, so
// that the devices of a fleet do not return at the same moment. The zero value pauses 1 s, 2 s, 4 s … up to 5 min. It
// is not safe for concurrent use.
type Backoff struct {
	Min    time.Duration // first pause without jitter; 0 means 1 s
	Max    time.Duration // longest pause without jitter; 0 means 5 min
	Factor float64       // growth; less than 1 means 2
	// Jitter is the random part of a pause: 0.2 turns 10 s into 8 s to 10 s. 0 means 0.5, and a negative value means
	// none.
	Jitter float64
	// Random returns numbers in [0,1); nil means math/rand/v2.
	Random func() float64

	failures int
}

// Next returns the pause before the next attempt, and counts a failure.
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

// Failures returns the number of calls of Next since the last Reset.
func (b *Backoff) Failures() int { return b.failures }

// Reset makes the next pause the first one. Call it after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Package clocktest has a clock for tests. Its main type is Clock, whose time changes only when the test sets it. Other
// goroutines of the test may read it meanwhile.
package clocktest

import (
	"sync"
	"time"
)

// A Clock returns the time that the test has set. It is safe for concurrent use.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// At returns a clock with this time.
func At(at time.Time) *Clock { return &Clock{at: at} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Set changes the time.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// Pass moves the time by d.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Package clock is the time of a fleet server. Its main type is Clock. The time never goes back while the server runs,
// and begins after every time in the database, even if the machine's clock is wrong. Signatures of devices, the history
// and the times of devices' last polls need such a time. If the machine's clock contradicts this time, the clock is in
// doubt; package access then refuses new devices.
package clock

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aspects-poc/roles/serverapi/sign"
)

const (
	// slack is by how much the machine's clock may be behind without doubt. The time then runs at half speed until both
	// agree.
	slack = 10 * time.Minute
	// margin is the distance from the newest time in the database, for a start in doubt: devices may have signed
	// requests up to some minutes later.
	margin = 6 * time.Minute
)

// A Reading is a clock's time, with the time of a clock that nobody can set.
type Reading struct {
	Wall  time.Time
	Since time.Duration
}

// Options are options of New.
type Options struct {
	Log *slog.Logger
	// Newest is the newest time in the database; zero for none.
	Newest time.Time
	Read   func() Reading // reads the machine's clock; nil means Read
	// Remote is the first reading of another clock, which the Clock follows instead of the machine's; nil for none.
	// Later readings come with Set.
	Remote *Reading
}

// A Clock returns the server's time. It is safe for concurrent use.
type Clock struct {
	log  *slog.Logger
	read func() Reading

	mu     sync.Mutex // guards the fields below
	remote *Reading   // the last one; nil to follow the machine's clock
	last   Reading    // the last returned time
	wrong  time.Time  // the followed clock's time while the clock is in doubt; otherwise zero
}

// New returns a clock.
func New(options Options) *Clock {
	c := &Clock{log: options.Log, read: options.Read, remote: options.Remote}
	if c.read == nil {
		c.read = Read
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.last = c.reading()
	known := options.Newest
	if known.Before(sign.Earliest) {
		known = sign.Earliest // devices ignore earlier times
	}
	if c.last.Wall.Before(known.Add(-slack)) {
		c.doubt(c.last.Wall)
		c.last.Wall = known.Add(margin)
	} else if c.last.Wall.Before(known) {
		c.last.Wall = known
	}
	return c
}

var start = time.Now()

// Read reads the machine's clock.
func Read() Reading {
	now := time.Now()
	return Reading{Wall: now, Since: now.Sub(start)}
}

// Set records a reading of the other clock.
func (c *Clock) Set(remote Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remote = &remote
	c.now()
}

// Now returns the server's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// Doubt returns an error while the server's time may be wrong.
func (c *Clock) Doubt() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); !c.wrong.IsZero() {
		return fmt.Errorf("the server's clock says %s, and it must be %s or later; if the clock is right, start the server once "+
			"with --trust-clock", c.wrong.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// reading returns a reading of the followed clock.
func (c *Clock) reading() Reading {
	now := c.read()
	if c.remote != nil {
		now.Wall = c.remote.Wall.Add(now.Since - c.remote.Since)
	}
	return Reading{now.Wall.Round(0), now.Since}
}

// now is Now for a caller that holds the lock.
func (c *Clock) now() time.Time {
	says := c.reading()
	passed := max(0, says.Since-c.last.Since)
	now := c.last.Wall.Add(passed)
	switch behind := now.Sub(says.Wall); {
	case behind <= 0:
		now = says.Wall
		c.trust()
	case behind <= slack:
		now = c.last.Wall.Add(passed / 2)
		c.trust()
	default:
		c.doubt(says.Wall)
	}
	c.last = Reading{now, says.Since}
	return now
}

func (c *Clock) doubt(says time.Time) {
	if c.wrong.IsZero() {
		c.log.Error("the clock is wrong: no new device can register until it is right; if it is right now, start the server once "+
			"with --trust-clock", "clock", says.UTC().Format(time.RFC3339))
	}
	c.wrong = says
}

func (c *Clock) trust() {
	if !c.wrong.IsZero() {
		c.log.Info("the clock is right again: devices can register")
		c.wrong = time.Time{}
	}
}

package attach

import "time"

// A Pace decides whether regular work is due in a cycle that something may have woken earlier. Set Interval before
// use. The first cycle is due at once.
type Pace struct {
	Interval time.Duration

	due time.Time
}

// Due reports whether regular work is due.
func (p *Pace) Due() bool { return !time.Now().Before(p.due) }

// Done records that regular work was done. The times of regular work depend on the first one; missed times are skipped.
func (p *Pace) Done() {
	now := time.Now()
	if p.due.IsZero() {
		p.due = now
	}
	p.due = p.due.Add(p.Interval)
	if late := now.Sub(p.due); late >= 0 {
		p.due = p.due.Add((late/p.Interval + 1) * p.Interval)
	}
}

// Left returns the time until regular work is due, at least 1 ns, for Options.Next.
func (p *Pace) Left() time.Duration { return max(time.Until(p.due), time.Nanosecond) }

package attach

import "time"

// A Pace tells a cycle that is due from one that something woke in between. Set Interval before use; the first cycle is
// due at once.
type Pace struct {
	Interval time.Duration

	due time.Time
}

// Due tells whether the regular work of a cycle is to be done now.
func (p *Pace) Due() bool { return !time.Now().Before(p.due) }

// Done tells that it was done. The moments of regular work stay where the first one put them; those that passed
// meanwhile are left out.
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

// Left returns how long it is until regular work is due: for Options.Next, so at least a moment.
func (p *Pace) Left() time.Duration { return max(time.Until(p.due), time.Nanosecond) }

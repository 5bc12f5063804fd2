package clock_test

import (
	"testing"
	"time"

	"aspects-poc/roles/server/clock"
)

// TestClock has the clock of a machine jump, and looks at the server's time.
func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		newest time.Time
		says   []time.Duration // difference from the right time, in steps of a minute
		off    []time.Duration // of the server's time; -1: in doubt, and only later than before
	}{
		{"right", now.Add(-time.Hour), []time.Duration{0, 0, 0}, []time.Duration{0, 0, 0}},
		{"forward", now, []time.Duration{0, time.Hour, time.Hour}, []time.Duration{0, time.Hour, time.Hour}},
		{"back", now, []time.Duration{0, -13 * 365 * 24 * time.Hour, 0}, []time.Duration{0, -1, 0}},
		{"an hour back", now, []time.Duration{0, -time.Hour, -time.Hour}, []time.Duration{0, -1, -1}},
		{"a minute back", now, []time.Duration{0, -time.Minute, -time.Minute, -time.Minute},
			[]time.Duration{0, -30 * time.Second, -time.Minute, -time.Minute}},
		{"born in 1970", now, []time.Duration{-now.Sub(time.Unix(0, 0)), -now.Sub(time.Unix(0, 0)), 7 * time.Minute},
			[]time.Duration{-1, -1, 7 * time.Minute}},
		{"born in 1970, without a database", time.Time{}, []time.Duration{-now.Sub(time.Unix(0, 0)), 0}, []time.Duration{-1, 0}},
		{"the database is from later", now.Add(14 * 365 * 24 * time.Hour), []time.Duration{0, 0}, []time.Duration{-1, -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var at time.Duration
			off := test.says[0]
			told := clock.New(clock.Options{Newest: test.newest, Read: func() clock.Reading {
				return clock.Reading{Wall: now.Add(at + off), Since: at}
			}})
			before := time.Time{}
			for i, says := range test.says {
				at, off = time.Duration(i)*time.Minute, says
				doubt, got := told.Doubt(), told.Now()
				if got.Before(before) || got.Before(test.newest) && test.newest.Before(now) {
					t.Errorf("minute %d: %v after %v", i, got, before)
				}
				if want := test.off[i]; want == -1 != (doubt != nil) || want != -1 && !got.Equal(now.Add(at+want)) {
					t.Errorf("minute %d: %v, doubt %v, want %v", i, got, doubt, want)
				}
				before = got
			}
		})
	}
}

// TestRemote: the clock of a database counts, and not that of the machine.
func TestRemote(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var since time.Duration
	told := clock.New(clock.Options{Remote: &clock.Reading{Wall: now}, Read: func() clock.Reading {
		return clock.Reading{Wall: time.Unix(0, 0), Since: since}
	}})
	since = time.Minute
	if got := told.Now(); !got.Equal(now.Add(time.Minute)) || told.Doubt() != nil {
		t.Errorf("%v, %v", got, told.Doubt())
	}
	told.Set(clock.Reading{Wall: now.Add(time.Hour), Since: since})
	if got := told.Now(); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("forward: %v", got)
	}
	told.Set(clock.Reading{Wall: now, Since: since})
	if got := told.Now(); !got.Equal(now.Add(time.Hour)) || told.Doubt() == nil {
		t.Errorf("back: %v, %v", got, told.Doubt())
	}
}

package poll_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/internal/poll"

	"github.com/google/go-cmp/cmp"
)

// Times in these tests are synctest's: exact, and no one waits for them.

func TestLoopKeepsItsSchedule(t *testing.T) {
	tests := []struct {
		name  string
		takes []time.Duration // how long each cycle takes
		want  []time.Duration // when each starts
	}{
		{"short cycles", seconds(1, 3, 0, 9), seconds(0, 10, 20, 30)},
		{"a long one leaves moments out", seconds(1, 25, 1, 1), seconds(0, 10, 40, 50)},
		{"as long as the interval", seconds(10, 10, 1), seconds(0, 20, 40)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				var got []time.Duration
				running := 0
				err := poll.Loop(ctx, poll.Options{Interval: 10 * time.Second}, func(ctx context.Context) error {
					if running++; running > 1 {
						t.Error("two cycles at a time")
					}
					defer func() { running-- }()
					got = append(got, time.Since(start))
					if len(got) == len(test.takes) {
						cancel()
						return nil
					}
					return poll.Sleep(ctx, test.takes[len(got)-1])
				})
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("starts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLoopAsksForTheNextInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		intervals := seconds(10, 5, 0, 30, 60)
		start := time.Now()
		var got []time.Duration
		options := poll.Options{Interval: 2 * time.Second, Next: func() time.Duration { return intervals[len(got)-1] }}
		err := poll.Loop(ctx, options, func(context.Context) error {
			got = append(got, time.Since(start))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(seconds(0, 10, 15, 17, 47), got); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func TestLoopWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		waker := poll.NewWaker()
		start := time.Now()
		var got []time.Duration
		go func() {
			for _, pause := range seconds(3, 10, 1, 1) { // at 3, 13, 14 and 15
				if poll.Sleep(ctx, pause) != nil {
					return
				}
				waker.Wake()
				waker.Wake() // two make one
			}
		}()
		err := poll.Loop(ctx, poll.Options{Interval: 10 * time.Second, Wake: waker.C()}, func(ctx context.Context) error {
			got = append(got, time.Since(start))
			return poll.Sleep(ctx, 4*time.Second) // so that 14 and 15 come while the cycle of 13 runs
		})
		if err != nil {
			t.Error(err)
		}
		// 0 is under way until 4, so 3 starts one at 4; 13 is early for 14; 17 is for both 14 and 15; then by schedule.
		if diff := cmp.Diff(seconds(0, 4, 13, 17, 27, 37), got); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func TestLoopWithAClosedWakeChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		wake := make(chan struct{})
		close(wake)
		cycles := 0
		err := poll.Loop(ctx, poll.Options{Interval: 10 * time.Second, Wake: wake}, func(context.Context) error {
			cycles++
			return nil
		})
		if err != nil || cycles != 3 {
			t.Errorf("%d cycles, error %v", cycles, err)
		}
	})
}

func TestLoopErrors(t *testing.T) {
	broken := errors.New("broken")
	t.Run("ends the loop", func(t *testing.T) {
		err := poll.Loop(t.Context(), poll.Options{Interval: time.Second}, func(context.Context) error { return broken })
		if !errors.Is(err, broken) {
			t.Error(err)
		}
	})
	t.Run("or is told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var told []error
			options := poll.Options{Interval: time.Second, Failed: func(err error) {
				if told = append(told, err); len(told) == 3 {
					cancel()
				}
			}}
			if err := poll.Loop(ctx, options, func(context.Context) error { return broken }); err != nil {
				t.Error(err)
			}
			if len(told) != 3 || told[2] != broken {
				t.Errorf("told %v", told)
			}
		})
	})
	t.Run("no interval", func(t *testing.T) {
		if err := poll.Loop(t.Context(), poll.Options{}, func(context.Context) error { return nil }); err == nil {
			t.Error("no error")
		}
	})
}

func TestLoopOnce(t *testing.T) {
	broken := errors.New("broken")
	cycles := 0
	once := func(ctx context.Context, err error) error {
		return poll.Loop(ctx, poll.Options{Once: true, Failed: func(error) { t.Error("told") }},
			func(context.Context) error { cycles++; return err })
	}
	if err := once(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := once(t.Context(), broken); err != broken {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := once(ended, ended.Err()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if cycles != 3 {
		t.Errorf("%d cycles", cycles)
	}
}

func TestLoopWaitsForTheCycleUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		finished := false
		err := poll.Loop(ctx, poll.Options{Interval: time.Minute}, func(ctx context.Context) error {
			<-ctx.Done()
			longer, done := poll.Grace(ctx, 10*time.Second)
			defer done()
			finished = poll.Sleep(longer, 2*time.Second) == nil
			return ctx.Err()
		})
		if err != nil || !finished {
			t.Errorf("error %v, finished %v", err, finished)
		}
	})
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		longer, done := poll.Grace(ctx, 10*time.Second)
		defer done()
		cancel()
		start := time.Now()
		<-longer.Done()
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("lived %v longer", took)
		}
		if cause := context.Cause(longer); cause != context.DeadlineExceeded {
			t.Errorf("cause %v", cause)
		}

		calm, done := poll.Grace(t.Context(), 10*time.Second)
		done()
		if calm.Err() == nil {
			t.Error("not released")
		}
	})
}

func TestBackoff(t *testing.T) {
	sequence := func(b *poll.Backoff, n int) []time.Duration {
		var got []time.Duration
		for range n {
			got = append(got, b.Next())
		}
		return got
	}
	fixed := func(value float64) func() float64 { return func() float64 { return value } }
	tests := []struct {
		name    string
		backoff poll.Backoff
		want    []time.Duration
	}{
		{"longest, by default", poll.Backoff{Random: fixed(0)}, seconds(1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300)},
		{"middle, by default", poll.Backoff{Random: fixed(0.5)}, seconds(0.75, 1.5, 3, 6, 12)},
		{"no jitter", poll.Backoff{Jitter: -1, Random: fixed(0.9)}, seconds(1, 2, 4)},
		{"own figures", poll.Backoff{Min: 2 * time.Second, Max: 10 * time.Second, Factor: 3, Jitter: 0.2, Random: fixed(0.5)},
			seconds(1.8, 5.4, 9, 9)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, sequence(&test.backoff, len(test.want))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if test.backoff.Failures() != len(test.want) {
				t.Errorf("%d failures", test.backoff.Failures())
			}
			test.backoff.Reset()
			if got := test.backoff.Next(); got != test.want[0] {
				t.Errorf("after a reset: %v", got)
			}
		})
	}
	t.Run("bounds with real chance", func(t *testing.T) {
		b := poll.Backoff{}
		for i := range 10_000 {
			if pause := b.Next(); pause <= 0 || pause > 5*time.Minute {
				t.Fatalf("pause %d is %v", i, pause)
			}
		}
	})
}

func seconds(values ...float64) []time.Duration {
	list := make([]time.Duration, len(values))
	for i, value := range values {
		list[i] = time.Duration(value * float64(time.Second))
	}
	return list
}

// Package poll runs a role's cycle once, or repeatedly by a schedule and wake-ups. Its main function is Loop; Backoff
// spaces out retries. It knows nothing about registries: package attach runs a Loop with one.
package poll

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options are options of Loop. Interval must be positive unless Once is set.
type Options struct {
	Interval time.Duration
	Once     bool // run one cycle and return its error

	// Next, if not nil, returns the interval until the next cycle. It is called after each cycle. Zero or less means
	// Interval.
	Next func() time.Duration

	// Wake starts a cycle at once. A wake-up during a cycle starts another one right after it. The schedule then
	// continues from the woken cycle. A closed channel is ignored. See Waker.
	Wake <-chan struct{}

	// Failed, if not nil, gets the error of a cycle, and the loop continues. Without it an error ends the loop.
	Failed func(error)
}

// Loop runs a cycle at once and then one per interval, never two at a time, until ctx ends.
//
// Cycles start at fixed times after the first one, however long they take. Times that pass during a long cycle are
// skipped. When ctx ends, Loop waits for the running cycle. The cycle gets the same ctx, so that it can stop at a safe
// point. Use Grace for work that must be finished.
//
// Loop returns nil if ctx ends it. With Once it returns the cycle's error.
func Loop(ctx context.Context, options Options, cycle func(ctx context.Context) error) error {
	if options.Once {
		return cycle(ctx)
	}
	if options.Interval <= 0 {
		return fmt.Errorf("internal error: poll interval %v is not positive", options.Interval)
	}
	wake := options.Wake
	due := time.Now() // start of the next cycle
	for {
		if ctx.Err() != nil {
			return nil
		}
		if err := cycle(ctx); err != nil {
			switch {
			case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err())):
				return nil
			case options.Failed == nil:
				return err
			}
			options.Failed(err)
		}
		interval := options.Interval
		if options.Next != nil {
			if next := options.Next(); next > 0 {
				interval = next
			}
		}
		due = due.Add(interval)
		if late := time.Since(due); late >= 0 {
			due = due.Add((late/interval + 1) * interval) // skipped
		}
		woken, open := wait(ctx, time.Until(due), wake)
		if !open {
			wake = nil
			woken, _ = wait(ctx, time.Until(due), nil)
		}
		if woken {
			due = time.Now()
		}
	}
}

// wait returns after the pause, at a wake-up or when ctx ends. It returns whether it was woken, and whether the
// channel is open.
func wait(ctx context.Context, pause time.Duration, wake <-chan struct{}) (woken, open bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, true
	case <-timer.C:
		return false, true
	case _, open := <-wake:
		return open, open
	}
}

// Sleep waits for the pause and returns nil, or the context's error when it ends first.
func Sleep(ctx context.Context, pause time.Duration) error {
	wait(ctx, pause, nil)
	return ctx.Err()
}

// Grace returns a context that outlives ctx by up to grace, for work that must be finished, such as storing the
// answer to a registration. Call cancel after the work.
func Grace(ctx context.Context, grace time.Duration) (longer context.Context, cancel context.CancelFunc) {
	longer, cancelCause := context.WithCancelCause(context.WithoutCancel(ctx))
	var timer *time.Timer
	ready := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(grace, func() { cancelCause(context.DeadlineExceeded) })
		close(ready)
	})
	return longer, func() {
		if !stop() {
			<-ready
			timer.Stop()
		}
		cancelCause(context.Canceled)
	}
}

// A Waker collects wake-ups for a Loop. Several wake-ups before a cycle cause one cycle. It is safe for concurrent
// use.
type Waker struct{ c chan struct{} }

// NewWaker returns a Waker.
func NewWaker() *Waker { return &Waker{c: make(chan struct{}, 1)} }

// Wake requests a cycle. It never waits.
func (w *Waker) Wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// C returns the channel for Options.Wake.
func (w *Waker) C() <-chan struct{} { return w.c }

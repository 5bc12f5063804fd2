// Package poll runs a role's cycle: once, or again and again on a schedule and whenever something wakes it; and it
// spaces out retries. It knows nothing of what a cycle does.
package poll

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options say when to run. Interval must be positive unless Once is set.
type Options struct {
	Interval time.Duration
	Once     bool // run one cycle and return its error

	// Next, if set, is asked after each cycle for the interval until the next: for a cycle that reads its own pace.
	// Zero or less means Interval.
	Next func() time.Duration

	// Wake starts a cycle at once. A wake-up that comes during a cycle is kept, and starts another right after it; the
	// schedule then counts from the cycle that was woken. A closed channel wakes nobody. See Waker.
	Wake <-chan struct{}

	// Failed, if set, is told of the error of a cycle, and the loop goes on. Without it an error ends the loop.
	Failed func(error)
}

// Loop runs a cycle now and then one each interval, never two at a time, until ctx ends.
//
// Cycles start at fixed moments after the first one (no drift by what a cycle takes). Moments that pass during a long
// cycle are left out; they are not made up for. When ctx ends the cycle under way is waited for: it sees the same ctx,
// so that it can stop where nothing is half done (see Grace for what must be finished).
//
// A periodic loop that was ended by ctx returns nil; with Once the error is the cycle's, whatever it is.
func Loop(ctx context.Context, options Options, cycle func(ctx context.Context) error) error {
	if options.Once {
		return cycle(ctx)
	}
	if options.Interval <= 0 {
		return fmt.Errorf("internal error: poll interval %v is not positive", options.Interval)
	}
	wake := options.Wake
	due := time.Now() // of the cycle about to run
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
			due = due.Add((late/interval + 1) * interval) // left out, not made up for
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

// wait returns after the pause, at a wake-up or when ctx ends. It tells whether it was woken and whether the wake
// channel is still open.
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

// Sleep waits for the pause and returns nil, or the context's error as soon as that ends.
func Sleep(ctx context.Context, pause time.Duration) error {
	wait(ctx, pause, nil)
	return ctx.Err()
}

// Grace returns a context that lives up to grace longer than ctx: for what a cycle has begun and must finish, such as
// storing the answer to a registration. Call cancel when that is done.
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

// A Waker collects wake-ups for a Loop: any number of them before the loop looks make one cycle. Make one with NewWaker;
// it is safe for concurrent use.
type Waker struct{ c chan struct{} }

// NewWaker returns a Waker that nobody has used yet.
func NewWaker() *Waker { return &Waker{c: make(chan struct{}, 1)} }

// Wake asks for a cycle. It never waits.
func (w *Waker) Wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

// C is what Options.Wake takes.
func (w *Waker) C() <-chan struct{} { return w.c }

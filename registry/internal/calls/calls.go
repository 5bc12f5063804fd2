// Package calls is the life of a backend and of each call in it, once for all backends: a call begins in a Life, its
// context ends with the Life as well, Close waits for all of them, and what a context that ended does to an error is
// the same everywhere.
//
//	ctx, call, err := b.life.Begin(ctx, calls.About{Op: "get", View: view, Requests: requests})
//	if err != nil {
//		return nil, err
//	}
//	defer call.End()
//	values, err := b.get(ctx, view, requests)
//	return values, call.Explain(err)
package calls

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"aspects-poc/registry/backend"
)

// About is what a call was asked for. It completes the errors of the call.
type About struct {
	Op       string // as backend.Error.Op
	View     backend.ViewID
	Requests []string
}

// errClosed ends the contexts of calls that run when their backend is closed.
var errClosed = &closedError{}

type closedError struct{}

func (*closedError) Error() string        { return "the registry is closed" }
func (*closedError) Is(target error) bool { return target == fs.ErrClosed }

// A Life is the time in which a backend is open. NewLife makes one.
type Life struct {
	ctx   context.Context // ends with Close; kept here because calls of any context end with it
	close context.CancelCauseFunc

	mu      sync.Mutex // guards closed, and running.Add against running.Wait
	closed  bool
	running sync.WaitGroup
}

// NewLife returns a Life that begins.
func NewLife() *Life {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Life{ctx: ctx, close: cancel}
}

// Check returns the error of a call whose context has ended before it began, or nil.
func Check(ctx context.Context, about About) error {
	if ctx.Err() != nil {
		return about.interrupted(ctx.Err(), nil)
	}
	return nil
}

// A Call is a call that runs. Each needs an End.
type Call struct {
	life   *Life
	about  About
	caller context.Context // whose end is told as what it is, whatever ended our own
	stop   func() bool
	cancel context.CancelCauseFunc
}

// Begin begins a call. The context that it returns ends with the caller's, with End and with Close. After Close, and
// with a context that has ended, there is no call, and the error says so.
func (l *Life) Begin(ctx context.Context, about About) (context.Context, *Call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, about.closed(nil)
	}
	if err := Check(ctx, about); err != nil {
		return nil, nil, err
	}
	l.running.Add(1)
	c := &Call{life: l, about: about, caller: ctx}
	inner, cancel := context.WithCancelCause(ctx)
	c.cancel = cancel
	c.stop = context.AfterFunc(l.ctx, func() { cancel(errClosed) })
	return inner, c, nil
}

// End ends the call.
func (c *Call) End() {
	c.stop()
	c.cancel(nil)
	c.life.running.Done()
}

// Explain returns the error of the call as its caller shall see it: an error that came of the end of the context, or of
// Close, says so and nothing else, however deep it arose; unless it is a write whose outcome is unknown for that. Every
// other error stays, completed by what was asked.
func (c *Call) Explain(err error) error {
	switch {
	case err == nil, errors.Is(err, backend.ErrUnknown):
	case errors.Is(err, fs.ErrClosed) && c.life.ctx.Err() != nil:
		return c.about.closed(err)
	case c.caller.Err() != nil && ended(err):
		return c.about.interrupted(c.caller.Err(), err)
	case errors.Is(err, backend.ErrBusy) && c.ranOut():
		return c.about.interrupted(context.DeadlineExceeded, err)
	case c.life.ctx.Err() != nil && ended(err):
		return c.about.closed(err)
	}
	return backend.About(err, c.about.Op, c.about.View, c.about.Requests)
}

// Margin is how long before a context's deadline a backend may give up waiting for others, so that snapd's own words
// about it arrive.
const Margin = 500 * time.Millisecond

// ranOut tells that a wait for others that ends now ends for the caller's deadline, and not for the access timeout.
func (c *Call) ranOut() bool {
	deadline, limited := c.caller.Deadline()
	return limited && time.Until(deadline) <= Margin
}

func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// interrupted is the error of a call whose caller's context has ended, for this cause. Below is what it was about, or
// nil.
func (a About) interrupted(cause, below error) error {
	e := a.error(cause.Error(), below)
	e.Kind, e.Err = backend.ErrInterrupted, cause
	return e
}

func (a About) closed(below error) error {
	e := a.error(errClosed.Error(), below)
	e.Kind, e.Err = backend.ErrOther, fs.ErrClosed
	return e
}

// error keeps what an error below says beyond that it was ended: who holds what was waited for, for one.
func (a About) error(reason string, below error) *backend.Error {
	e := &backend.Error{Op: a.Op, View: a.View, Requests: a.Requests, Reason: reason}
	var known *backend.Error
	if errors.As(below, &known) && known.Kind == backend.ErrBusy {
		e.Reason, e.Remedy, e.Until = reason+": "+cmp.Or(known.Reason, known.Message, known.Kind.Error()), known.Remedy, known.Until
	}
	return e
}

// Go runs what is no call, in a goroutine that Close waits for; f ends with ctx, which ends with Close. It is for use in
// a call: else Close may have waited already.
func (l *Life) Go(f func(ctx context.Context)) {
	l.running.Go(func() { f(l.ctx) })
}

// Watch begins what a call leaves running: its context ends with ctx and with Close, which waits until done is called.
// It is for use in a call.
func (l *Life) Watch(ctx context.Context) (_ context.Context, done func()) {
	l.running.Add(1)
	inner, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ctx, func() { cancel(errClosed) })
	return inner, func() {
		stop()
		cancel(nil)
		l.running.Done()
	}
}

// Close ends all calls, and waits until nothing runs any more. It returns false if that has been done before; then it
// waits as well.
func (l *Life) Close() bool {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	l.close(errClosed)
	l.running.Wait()
	return first
}

// Closed returns a channel that is closed with the Life.
func (l *Life) Closed() <-chan struct{} { return l.ctx.Done() }

// Package calls counts the running calls of a backend, so that Close can end them and wait for them. All backends use it. Its main
// types are Life and Call. A call begins in a Life. Its context ends with the caller's context and with Close. Call.Explain gives
// errors of ended contexts and closed backends the same form in all backends.
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

// About describes the request of a call. It completes the call's errors.
type About struct {
	Op       string // as backend.Error.Op
	View     backend.ViewID
	Requests []string
}

// errClosed is the cause of contexts that end with Close.
var errClosed = &closedError{}

type closedError struct{}

func (*closedError) Error() string        { return "the registry is closed" }
func (*closedError) Is(target error) bool { return target == fs.ErrClosed }

// A Life is the time during which a backend is open.
type Life struct {
	ctx   context.Context // ends with Close; a field, as calls with any context end with it
	close context.CancelCauseFunc

	mu      sync.Mutex // guards closed, and running.Add against running.Wait
	closed  bool
	running sync.WaitGroup
}

// NewLife returns an open Life.
func NewLife() *Life {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Life{ctx: ctx, close: cancel}
}

// Check returns the error for a call whose context has already ended, or nil.
func Check(ctx context.Context, about About) error {
	if ctx.Err() != nil {
		return about.interrupted(ctx.Err(), nil)
	}
	return nil
}

// A Call is a running call. Each Call needs an End.
type Call struct {
	life   *Life
	about  About
	caller context.Context // decides whether the caller interrupted the call
	stop   func() bool
	cancel context.CancelCauseFunc
}

// Begin begins a call. The returned context ends with ctx, with Call.End and with Life.Close. Begin returns an error
// if the Life is closed or ctx has ended.
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

// Explain returns the error of the call in the form for its caller. An error that was caused by the end of the
// caller's context becomes ErrInterrupted, and one that was caused by Close wraps fs.ErrClosed. ErrUnknown stays
// ErrUnknown. Every other error keeps its kind. All errors get the request if they lack it.
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

// Margin is how long before the context's deadline a backend may stop waiting for others, so that snapd's answer
// about the wait still arrives.
const Margin = 500 * time.Millisecond

// ranOut reports whether a wait for others that ends now ends because of the caller's deadline, not the access
// timeout.
func (c *Call) ranOut() bool {
	deadline, limited := c.caller.Deadline()
	return limited && time.Until(deadline) <= Margin
}

// ended reports whether an error is that of an ended context.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// interrupted returns the error of a call whose context has ended with this cause. Below is the underlying error or
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

// error returns an error with this reason. If below is ErrBusy, the error includes its reason, remedy and time.
func (a About) error(reason string, below error) *backend.Error {
	e := &backend.Error{Op: a.Op, View: a.View, Requests: a.Requests, Reason: reason}
	var known *backend.Error
	if errors.As(below, &known) && known.Kind == backend.ErrBusy {
		e.Reason, e.Remedy, e.Until = reason+": "+cmp.Or(known.Reason, known.Message, known.Kind.Error()), known.Remedy, known.Until
	}
	return e
}

// Go runs f in a goroutine. Close ends the context of f and waits for f. Call it within a Call, so that Close cannot
// finish first.
func (l *Life) Go(f func(ctx context.Context)) {
	l.running.Go(func() { f(l.ctx) })
}

// Watch registers work that outlasts its call. The returned context ends with ctx and with Close. Close waits until
// done is called. Call Watch within a Call.
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

// Close ends all calls and waits until they are finished. It returns true for the first Close of the Life; later ones
// wait as well.
func (l *Life) Close() bool {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	l.close(errClosed)
	l.running.Wait()
	return first
}

// Closed returns a channel that Close closes.
func (l *Life) Closed() <-chan struct{} { return l.ctx.Done() }

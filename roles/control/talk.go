package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi"
)

// talk is the device's conversation with its server: one exchange at a time, each on a goroutine of its own.
//
// It has many fields because it has those of the schedule, which says when it talks, and of the enrolment.
type talk struct {
	schedule
	enrolment
	dir       *state.Dir
	base      http.RoundTripper // for servers, without signatures
	transport http.RoundTripper // for servers, with signatures
	server    *serverapi.Client // nil if the server's address cannot be used
	log       *slog.Logger
	trouble   *troubles
	wake      func()

	results   chan *outcome
	exchanges sync.WaitGroup
	busy      bool                    // an exchange is running
	holding   bool                    // the server may hold the running poll
	cut       context.CancelCauseFunc // ends the running exchange
}

// errHungUp is the cause that ends a held poll whose server the device no longer uses.
var errHungUp = errors.New("hung up")

// close waits for the running exchange. Its context must have ended.
func (t *talk) close() {
	t.exchanges.Wait()
	if t.server != nil {
		t.server.CloseIdleConnections()
	}
}

// hangUp ends the held poll if the device no longer uses its server.
func (t *talk) hangUp(url string) {
	if normal, err := serverapi.ParseURL(url); err != nil || t.server == nil || normal != t.server.URL() {
		t.cut(errHungUp)
	}
}

// connect makes the client for a server. It reports whether the server has changed. t.server is nil if the address
// cannot be used.
func (t *talk) connect(url string) (moved bool) {
	normal, err := serverapi.ParseURL(url)
	switch {
	case url == "":
		err = errors.New("no server-url is set in control-device")
	case err == nil && t.server != nil && t.server.URL() == normal:
		return false
	}
	if t.server != nil {
		t.server.CloseIdleConnections()
		t.server = nil
	}
	if err == nil {
		t.server, err = serverapi.NewClient(normal, serverapi.Options{
			UserAgent: "aspects-poc-control", Transport: t.transport,
		})
	}
	if err != nil {
		t.trouble.report(ofServer, err)
		return false
	}
	t.reset()
	return true
}

// start starts an exchange. Its result arrives at t.results, and wakes the agent.
func (t *talk) start(ctx context.Context, exchange *exchange) {
	exchange.dir, exchange.server, exchange.base, exchange.enrolment = t.dir, t.server, t.base, t.enrolment
	if t.atOnce {
		t.calls++
	}
	t.atOnce, t.busy, t.holding = false, true, exchange.wait > 0
	ctx, t.cut = context.WithCancelCause(ctx)
	t.exchanges.Go(func() {
		result := exchange.run(ctx)
		if errors.Is(context.Cause(ctx), errHungUp) {
			result.err = errHungUp
		}
		t.results <- result
		t.wake()
	})
}

// finish ends the exchange whose result has arrived.
func (t *talk) finish(result *outcome) {
	t.busy = false
	t.cut(nil) // releases its context
	t.at = result.next
}

// reached records that the server answered.
func (t *talk) reached(server string) {
	if t.trouble.clear(ofServer) {
		t.log.Info("server reached again", "server", server, "tries", t.retry.Failures())
	}
}

// keyless reports whether a server requires signatures and the device has no key. Somebody has then moved the state
// directory or the key away, and the server takes the device for a new one.
func (t *talk) keyless(err error) bool {
	if !serverapi.IsProblem(err, serverapi.ProblemUnsigned) {
		return false
	}
	_, missing := t.dir.Key()
	return errors.Is(missing, fs.ErrNotExist)
}

// forgotten handles a server that does not know the device: the device registers again, the first time at once. A
// repetition is an error.
func (t *talk) forgotten(result *outcome) error {
	if t.retry.Failures() > 0 || t.calls >= mostCalls {
		return fmt.Errorf("%w, again", result.err)
	}
	t.retry.Next()
	t.atOnce = true
	text := "the server does not know this device, registering again"
	if t.keyless(result.err) {
		text = "the device has no key to sign with, registering as a new device"
	}
	t.log.Warn(text, "server", result.server.URL(), "uuid", result.device)
	return nil
}

// failed schedules the next exchange after an error. It returns the pause that a busy server asked for, or 0.
func (t *talk) failed(err error, now standing) (after time.Duration) {
	var refused *serverapi.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		after = refused.RetryAfter
	}
	pause := t.postpone(after, now)
	about := ofServer
	if own := (*state.Error)(nil); errors.As(err, &own) {
		about, err = ofState, own.Err // the state directory failed, not the server
	}
	t.trouble.report(about, err, "next-try", pause.Round(time.Millisecond))
	return after
}

// brokenOff reports whether a held poll was cut off, as some proxies do to idle connections. It makes the next poll
// wait less long. Only a failure of that poll is trouble.
func (t *talk) brokenOff(result *outcome) bool {
	held := time.Since(result.started)
	var refused *serverapi.Error
	byServer := errors.As(result.err, &refused) &&
		refused.Status != http.StatusBadGateway && refused.Status != http.StatusGatewayTimeout
	if held < shortestHold || result.wait < held || byServer || errors.Is(result.err, context.DeadlineExceeded) {
		return false
	}
	pause := t.shorten(held)
	t.log.Debug("a held poll was cut off", "after", held, "error", result.err, "next-try", pause)
	return true
}

package snapd

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/calls"
	"aspects-poc/registry/internal/snapdhttp"
)

// errDialect says that snapd does not speak the dialect that we took it to speak. Nothing was read or written.
var errDialect = errors.New("snapd speaks another dialect")

// giveUp returns when waiting for others shall end: after the access timeout, or before the context does, early enough
// for snapd's own words about it to arrive.
func (b *Backend) giveUp(ctx context.Context) time.Time {
	until := b.now().Add(b.options.AccessTimeout)
	if deadline, limited := ctx.Deadline(); limited {
		margin := min(deadline.Sub(b.now())/10, calls.Margin)
		if early := deadline.Add(-margin); early.Before(until) {
			until = early
		}
	}
	return until
}

// accessTimeout is what is left until then, as snapd wants it. Zero would mean not to wait at all, less is refused.
func (b *Backend) accessTimeout(until time.Time) string {
	return max(until.Sub(b.now()).Truncate(time.Millisecond), time.Millisecond).String()
}

// persist calls once until it succeeds, or fails for good: after another dialect was spoken it is detected anew, once;
// a read whose answer was lost is repeated, once; for others to end their accesses it waits until giveUp.
func (b *Backend) persist(ctx context.Context, request snapdhttp.Request, write bool, giveUp time.Time,
	once func(dialect) error,
) error {
	var redetected, repeated bool
	pause := &pauses{next: 50 * time.Millisecond, limit: 2 * time.Second}
	for {
		d, err := b.dialect(ctx, request)
		if err != nil {
			return err
		}
		err = once(d)
		var e *backend.Error
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errDialect):
			if redetected {
				return &backend.Error{
					Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnsupported,
					Message: "snapd does not answer as " + d.name + " does", Err: err,
				}
			}
			redetected = true
			b.forget()
		case errors.Is(err, backend.ErrUnreachable) && !write && !repeated && ctx.Err() == nil:
			repeated = true // snapd restarts now and then
		case errors.Is(err, backend.ErrBusy) && errors.As(err, &e):
			if write && d.mayStillApply {
				e.Kind = backend.ErrUnknown // set.go looks after it
				e.Remedy = "read back before writing again"
				return e
			}
			if left := giveUp.Sub(b.now()); left > 0 && sleep(ctx, min(pause.jittered(), left)) == nil {
				continue
			}
			e.Until, e.Err = b.now(), ctx.Err()
			return e
		default:
			return err
		}
	}
}

// refused turns a refusal into an error, or into errDialect where another dialect is the reason.
func (b *Backend) refused(refusal *snapdhttp.Refusal, request snapdhttp.Request) error {
	if refusal.Status == http.StatusNotFound && refusal.Message == snapdhttp.RouteNotFound {
		return errDialect
	}
	e := snapdhttp.Explain(*refusal, request)
	if e.Kind == backend.ErrOther && refusal.Status == http.StatusBadRequest {
		e.Kind = backend.ErrBadRequest // over REST that is what it means; snapctl gives every failure this status
	}
	return e
}

// wait follows a change until it is in a final state. It returns the change, or why that could not be seen.
func (b *Backend) wait(ctx context.Context, id string, request snapdhttp.Request, write bool) (*snapdhttp.Change, error) {
	pause := &pauses{next: 20 * time.Millisecond, limit: 500 * time.Millisecond}
	var silent time.Time // since when snapd does not answer; zero while it does
	for {
		change, err := b.change(ctx, id)
		var transport *snapdhttp.TransportError
		switch {
		case err == nil && change.Ready:
			return change, nil
		case err == nil:
			silent = time.Time{}
		case ctx.Err() != nil:
		case errors.As(err, &transport):
			// A change survives a restart of snapd, so it is waited for as well.
			if silent.IsZero() {
				silent = b.now()
			}
			if b.now().Sub(silent) > b.options.AccessTimeout {
				return nil, b.lost(err, request, write)
			}
		default:
			return nil, unseen(request, id, err, write)
		}
		if sleep(ctx, pause.grown()) == nil {
			continue
		}
		if write {
			return nil, unseen(request, id, ctx.Err(), true)
		}
		return nil, ctx.Err()
	}
}

// unseen is the error of a change whose end could not be seen.
func unseen(request snapdhttp.Request, id string, cause error, write bool) *backend.Error {
	e := &backend.Error{Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrOther, Err: cause,
		Reason: "cannot see how change " + id + " ends: " + cause.Error()}
	if write {
		e.Kind = backend.ErrUnknown
		e.Remedy = "snap change " + id + ", or read back before writing again"
	}
	return e
}

// change asks for a change once.
func (b *Backend) change(ctx context.Context, id string) (*snapdhttp.Change, error) {
	response, err := b.client.Do(ctx, http.MethodGet, "/v2/changes/"+id, nil, nil)
	if err != nil {
		return nil, err
	}
	if refusal := response.Refusal(); refusal != nil {
		return nil, &snapdhttp.RefusalError{Refusal: *refusal}
	}
	return snapdhttp.DecodeChange(response.Result)
}

// pauses grow from next to limit.
type pauses struct{ next, limit time.Duration }

// grown returns the next pause.
func (p *pauses) grown() time.Duration {
	pause := p.next
	p.next = min(p.next*3/2, p.limit)
	return pause
}

// jittered returns the next pause, of random length, so that two who wait for each other do not meet again.
func (p *pauses) jittered() time.Duration {
	pause := p.grown()
	return pause/2 + rand.N(pause)
}

// sleep waits, or returns why the context ended.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

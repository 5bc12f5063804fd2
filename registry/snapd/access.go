package snapd

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// errGeneration means that snapd is not of the assumed generation. Nothing was read or written.
var errGeneration = errors.New("snapd is of another generation")

// giveUp returns the time when a call stops waiting for others: after the access timeout, or a little before the context's
// deadline, so that snapd's answer about the wait arrives.
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

// accessTimeout returns the time until then in snapd's notation. It is at least 1 ms: zero would mean not to wait,
// and snapd refuses negative values.
func (b *Backend) accessTimeout(until time.Time) string {
	return max(until.Sub(b.now()).Truncate(time.Millisecond), time.Millisecond).String()
}

// persist calls the function once until the call succeeds or a repetition cannot help. After errGeneration it detects the generation
// again, and after a lost answer it repeats a read, each at most once. While others hold the confdb, it repeats the call until
// giveUp.
func (b *Backend) persist(ctx context.Context, request snapdhttp.Request, write bool, giveUp time.Time,
	once func(generation) error,
) error {
	var redetected, repeated bool
	pause := &pauses{next: 50 * time.Millisecond, limit: 2 * time.Second}
	for {
		d, err := b.generation(ctx, request)
		if err != nil {
			return err
		}
		err = once(d)
		var e *backend.Error
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errGeneration):
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
				e.Kind = backend.ErrUnknown // write then reads back
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

// refused turns a refusal into an error, or into errGeneration if the path is unknown to this snapd.
func (b *Backend) refused(refusal *snapdhttp.Refusal, request snapdhttp.Request) error {
	if refusal.Status == http.StatusNotFound && refusal.Message == snapdhttp.RouteNotFound {
		return errGeneration
	}
	e := snapdhttp.Explain(*refusal, request)
	if e.Kind == backend.ErrOther && refusal.Status == http.StatusBadRequest {
		e.Kind = backend.ErrBadRequest // Over REST this status means a bad request; snapctl uses it for every failure.
	}
	return e
}

// wait follows a change until it is in a final state. It returns the change, or why its end is unknown.
func (b *Backend) wait(ctx context.Context, id string, request snapdhttp.Request, write bool) (*snapdhttp.Change, error) {
	pause := &pauses{next: 20 * time.Millisecond, limit: 500 * time.Millisecond}
	var silent time.Time // since when snapd does not answer; zero if it does
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
			// A change survives a restart of snapd, so wait continues.
			if silent.IsZero() {
				silent = b.now()
			}
			if b.now().Sub(silent) > b.options.AccessTimeout {
				if write { // snapd has accepted the write already, whatever becomes of this request
					b.forget()
					return nil, unseen(request, id, err, true)
				}
				return nil, b.lost(err, request, false)
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

// unseen returns the error for a change whose end is unknown.
func unseen(request snapdhttp.Request, id string, cause error, write bool) *backend.Error {
	e := &backend.Error{Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrOther, Err: cause,
		Reason: "cannot see how change " + id + " ends: " + cause.Error()}
	if write {
		e.Kind = backend.ErrUnknown
		e.Remedy = "snap change " + id + ", or read back before writing again"
	}
	return e
}

// change requests a change once.
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

// pauses grow from next to limit, by half each time.
type pauses struct{ next, limit time.Duration }

// grown returns the next pause.
func (p *pauses) grown() time.Duration {
	pause := p.next
	p.next = min(p.next*3/2, p.limit)
	return pause
}

// jittered returns the next pause with a random length, so that two callers that wait for each other diverge.
func (p *pauses) jittered() time.Duration {
	pause := p.grown()
	return pause/2 + rand.N(pause)
}

// sleep waits, or returns the context's error.
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

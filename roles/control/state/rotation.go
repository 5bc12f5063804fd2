package state

import (
	"context"
	"errors"
	"net/http"

	"aspects-poc/roles/serverapi"
)

// FinishRotation asks the server to replace the device's key by the next key. It signs the request with the present
// key, and if the server does not know that key, with the next one. The key that the server knows becomes or stays the
// device's key; took reports whether it is the next one. took is false if there is no next key, or if the server knows
// neither. After a refusal the next key is removed; after any other error both keys stay. The caller holds the lock.
func (d *Dir) FinishRotation(ctx context.Context, base http.RoundTripper) (took bool, err error) {
	next, err := d.successor()
	if err != nil || next == nil {
		return false, err
	}
	present, err := d.Key()
	if err != nil {
		return false, err
	}
	if present.Equal(next.key) { // killed between the last two steps
		return true, d.dropSuccessor()
	}
	switch err := next.ask(ctx, base, present, present); {
	case err == nil:
		return true, d.succeed(next)
	case next.Refused(err):
		return false, errors.Join(err, d.dropSuccessor())
	case !serverapi.IsProblem(err, serverapi.ProblemUnknownKey):
		return false, err
	}
	// The server does not know the present key: an answer was lost, or the server has forgotten the device.
	switch err := next.ask(ctx, base, next.key, present); {
	case err == nil, next.Refused(err): // the server knows it, even if it refuses
		return true, d.succeed(next)
	case serverapi.IsProblem(err, serverapi.ProblemUnknownKey):
		return false, d.dropSuccessor()
	default:
		return false, err
	}
}

// FinishRotationAt is FinishRotation for a daemon that is about to talk to this server. It does nothing if there is no
// next key for the server. It returns no error if the server refuses or cannot rotate keys: the daemon can continue.
func (d *Dir) FinishRotationAt(ctx context.Context, server string, base http.RoundTripper) error {
	next, err := d.successorAt(server)
	if err != nil || next == nil {
		return err
	}
	unlock, err := d.Lock(ctx)
	if err != nil {
		return &Error{Err: err}
	}
	defer unlock()
	return d.FinishRotationLocked(ctx, server, base)
}

// FinishRotationLocked is FinishRotationAt for a caller that holds the lock.
func (d *Dir) FinishRotationLocked(ctx context.Context, server string, base http.RoundTripper) error {
	next, err := d.successorAt(server)
	if err != nil || next == nil {
		return err
	}
	_, err = d.FinishRotation(ctx, base)
	var answer *serverapi.Error
	if err != nil && errors.As(err, &answer) && (next.Refused(err) || answer.Status == http.StatusNotFound ||
		answer.Status == http.StatusMethodNotAllowed) {
		return nil
	}
	return err
}

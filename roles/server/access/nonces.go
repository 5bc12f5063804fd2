package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"aspects-poc/roles/serverapi/sign"
)

// Nonces records the requests that servers on one store have accepted, so that a request to one of them cannot be
// replayed to another. A gate asks it only about requests that are not in the gate's own memory.
type Nonces interface {
	// TakeNonce records the mark of a request, at least until a time. first reports whether the mark is new.
	TakeNonce(ctx context.Context, mark Mark, until time.Time) (first bool, err error)
}

// A Mark identifies a request of a device.
type Mark [16]byte

// markOf returns a hash of what makes a request unique: key, time and nonce. These texts contain no zero bytes.
func markOf(input sign.Input) (mark Mark) {
	text := append([]byte(input.KeyID), 0)
	text = binary.BigEndian.AppendUint64(text, uint64(input.Created.Unix()))
	sum := sha256.Sum256(append(text, input.Nonce...))
	copy(mark[:], sum[:])
	return mark
}

// skew is the largest difference between two servers' clocks for which marks are recorded long enough.
const skew = time.Minute

// shared checks whether a request is new to the other servers, too. If the store does not answer, unconfirmed is its
// error: see Caller.
func (g *Gate) shared(ctx context.Context, input sign.Input) (found outcome, unconfirmed, err error) {
	if g.options.Nonces == nil {
		return fresh, nil, nil
	}
	first, err := g.options.Nonces.TakeNonce(ctx, markOf(input), input.Created.Add(g.options.Window+skew))
	switch {
	case ctx.Err() != nil:
		return fresh, nil, ctx.Err()
	case err != nil:
		return fresh, err, nil
	case !first:
		return replayed, nil, nil
	}
	return fresh, nil, nil
}

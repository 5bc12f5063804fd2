package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"aspects-poc/roles/serverapi/sign"
)

// Nonces is what several servers share of the requests that they took, so that one which came to one of them is not taken
// by another. A gate asks it for what is new to its own memory only.
type Nonces interface {
	// TakeNonce tells whether nobody took the mark of a request before, and remembers it until a time at the least.
	TakeNonce(ctx context.Context, mark Mark, until time.Time) (first bool, err error)
}

// A Mark stands for one request of one device.
type Mark [16]byte

// markOf has all that makes a request another: key, time and nonce. Texts of a signature have no zero bytes.
func markOf(input sign.Input) (mark Mark) {
	text := append([]byte(input.KeyID), 0)
	text = binary.BigEndian.AppendUint64(text, uint64(input.Created.Unix()))
	sum := sha256.Sum256(append(text, input.Nonce...))
	copy(mark[:], sum[:])
	return mark
}

// skew is how far apart the clocks of servers may be without one of them forgetting what another would still take.
const skew = time.Minute

// shared tells whether a request is new to the other servers, too. Where they cannot be asked, the caller is let in as
// unconfirmed: see Caller.
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

package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet/group"

	"github.com/jackc/pgx/v5"
)

const (
	// nonceTime is how long a device waits for the word whether its request is new. What it may do without it must not
	// have to wait as long as for other things.
	nonceTime = 2 * time.Second
	// nonceLinger is for how long requests are collected for one statement: each signed poll needs one.
	nonceLinger = 3 * time.Millisecond
)

var _ access.Nonces = (*Store)(nil)

// A nonce is a request's mark, and then whether it came first.
type nonce struct {
	mark  access.Mark
	until int64 // seconds since 1970
	first bool
}

// TakeNonce is as of access.Nonces. Requests that come at the same time are looked up together.
func (s *Store) TakeNonce(ctx context.Context, mark access.Mark, until time.Time) (first bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, nonceTime)
	defer cancel()
	err = s.call(bounded, func(ctx context.Context) error {
		got, err := s.nonces.Run(ctx, nonce{mark: mark, until: until.Unix()})
		first = got.first
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = explain(ctx, err)
		s.trouble.begin(err)
	}
	return first && err == nil, err
}

func (s *Store) takeNonces(ctx context.Context, batch []*group.Job[nonce]) error {
	ctx, cancel := s.within(ctx, nonceTime)
	defer cancel()
	// In one order, so that two servers with the same requests do not wait for each other.
	slices.SortFunc(batch, func(a, b *group.Job[nonce]) int { return bytes.Compare(a.Want.mark[:], b.Want.mark[:]) })
	var marks [][]byte
	var until []int64
	for _, work := range batch {
		marks, until = append(marks, work.Want.mark[:]), append(until, work.Want.until)
	}
	taken := map[access.Mark]bool{}
	err := s.again(ctx, func() error {
		clear(taken)
		rows, err := s.pool().Query(ctx, `INSERT INTO nonces (mark, until) SELECT * FROM unnest($1::bytea[], $2::bigint[])
			ON CONFLICT DO NOTHING RETURNING mark`, marks, until)
		if err != nil {
			return err
		}
		var mark []byte
		_, err = pgx.ForEachRow(rows, []any{&mark}, func() error {
			taken[access.Mark(mark)] = true
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, work := range batch {
		work.Want.first = taken[work.Want.mark]
		delete(taken, work.Want.mark) // of two in one batch one is first
	}
	return nil
}

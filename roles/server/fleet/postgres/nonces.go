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
	// nonceTime is how long a device waits for the answer whether its request is new. It is shorter than other limits,
	// because a device may do some things without that answer.
	nonceTime = 2 * time.Second
	// nonceLinger is how long requests are collected for one statement. Each signed poll needs the answer.
	nonceLinger = 3 * time.Millisecond
)

var _ access.Nonces = (*Store)(nil)

// A nonce is the mark of a request, and then whether the mark is new.
type nonce struct {
	mark  access.Mark
	until int64 // seconds since 1970
	first bool
}

// TakeNonce implements access.Nonces. Concurrent calls share a statement.
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
	// Two servers with the same requests use the same order, so that they do not wait for each other.
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
		delete(taken, work.Want.mark) // of two equal marks in a batch one is new
	}
	return nil
}

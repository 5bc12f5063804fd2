package postgres

import (
	"context"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// Sample implements fleet.Store.
func (s *Store) Sample(ctx context.Context, sample fleet.StoredSample, thin []fleet.Thinning) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		_, err := tx.Exec(ctx, `INSERT INTO samples (at, text) VALUES ($1, $2)
			ON CONFLICT (at) DO UPDATE SET text = excluded.text`, rows.Seconds(sample.At), sample.Text)
		for _, one := range thin {
			if err != nil {
				break
			}
			_, err = tx.Exec(ctx, "DELETE FROM samples WHERE at < $1 AND CASE WHEN $2::bigint = 0 THEN true ELSE at % $2 <> 0 END",
				rows.Seconds(one.Before), int64(one.Step/time.Second))
		}
		return nil, err
	})
}

// Samples implements fleet.Store.
func (s *Store) Samples(ctx context.Context, since time.Time) (list []fleet.StoredSample, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT at, text FROM samples WHERE at >= $1 ORDER BY at", rows.Seconds(since))
		if err != nil {
			return err
		}
		list = nil
		return eachPoint(found, func(at time.Time, text string) { list = append(list, fleet.StoredSample{At: at, Text: text}) })
	})
	return list, err
}

// eachPoint calls pass for rows of a time and a text.
func eachPoint(found pgx.Rows, pass func(at time.Time, text string)) error {
	var at int64
	var text string
	_, err := pgx.ForEachRow(found, []any{&at, &text}, func() error {
		pass(rows.Time(at), text)
		return nil
	})
	return err
}

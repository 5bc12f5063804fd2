package sqlite

import (
	"context"
	"database/sql"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

// Sample implements fleet.Store.
func (s *Store) Sample(ctx context.Context, sample fleet.StoredSample, thin []fleet.Thinning) error {
	return s.change(ctx, "store the numbers of devices in", scope{}, func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		_, err := conn.ExecContext(ctx, "INSERT OR REPLACE INTO samples (at, text) VALUES (?, ?)", rows.Seconds(sample.At), sample.Text)
		for _, one := range thin {
			if err != nil {
				break
			}
			// A remainder by 0 is NULL, so that a step of 0 deletes all.
			_, err = conn.ExecContext(ctx, "DELETE FROM samples WHERE at < ? AND coalesce(at % ?, 1) <> 0", rows.Seconds(one.Before),
				int64(one.Step/time.Second))
		}
		return err
	}, nil)
}

// Samples implements fleet.Store.
func (s *Store) Samples(ctx context.Context, since time.Time) (list []fleet.StoredSample, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	err = s.each(ctx, s.samples, []any{rows.Seconds(since)}, func(row *sql.Rows) error {
		var at int64
		var sample fleet.StoredSample
		err := row.Scan(&at, &sample.Text)
		sample.At = rows.Time(at)
		list = append(list, sample)
		return err
	})
	return list, s.fail("read numbers of devices from", err)
}

package sqlite

import (
	"context"
	"database/sql"
	"time"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// portion is the number of observations in one job of the writer, so that other jobs run in between.
const portion = 256

// Report implements fleet.Store.
func (s *Store) Report(ctx context.Context, id uuid.UUID, report fleet.Report) (int64, error) {
	var sequence int64
	kept := false
	err := s.change(ctx, "store a report in", ofDevice(id), func(*sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		var row int64
		if err := s.writer.reported.QueryRowContext(ctx, id[:]).Scan(&row, &sequence); err != nil {
			return unknown(err)
		}
		if report.Sequence != 0 {
			if report.Sequence < sequence {
				return nil
			}
			sequence = report.Sequence
		}
		tried := report.Attempted
		_, err := s.writer.report.ExecContext(ctx, []byte(report.Config.String()), rows.Seconds(report.At), sequence,
			report.Instance, report.Running.Revision, report.Running.Hash, tried.Revision, tried.Outcome, tried.Path, tried.Reason, tried.At, row)
		if err != nil {
			return err
		}
		_, err = s.writer.verdict.ExecContext(ctx, report.Verdict.State, report.Verdict.Revision, !report.Mute(), row)
		kept = err == nil
		return err
	}, func() []fleet.Notice {
		if !kept {
			return nil
		}
		return []fleet.Notice{{Kind: fleet.DevicesReported, Devices: []uuid.UUID{id}}}
	})
	if err != nil {
		return 0, err
	}
	return sequence, nil
}

// Observe implements fleet.Store.
func (s *Store) Observe(ctx context.Context, list []fleet.Observation) error {
	ctx = audit.With(ctx, nil) // it belongs to no act
	for len(list) > 0 {
		some := list[:min(portion, len(list))]
		list = list[len(some):]
		var concerned scope
		for _, observation := range some {
			concerned.devices = append(concerned.devices, observation.ID)
		}
		err := s.change(ctx, "store sightings in", concerned, func(*sql.Conn) error {
			for _, observation := range some {
				if err := s.observe(context.WithoutCancel(ctx), observation); err != nil {
					return err
				}
			}
			return nil
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) observe(ctx context.Context, seen fleet.Observation) error {
	var row int64
	err := s.writer.number.QueryRowContext(ctx, seen.ID[:]).Scan(&row)
	if err != nil {
		if unknown(err) == fleet.ErrUnknownDevice {
			return nil
		}
		return err
	}
	if _, err = s.writer.seen.ExecContext(ctx, rows.Seconds(seen.Seen), rows.Seconds(seen.Twins), row); err != nil || seen.Stats == nil {
		return err
	}
	if _, err := s.writer.addStats.ExecContext(ctx, row, rows.Seconds(seen.Stats.At), seen.Stats.Text); err != nil {
		return err
	}
	for _, thin := range seen.Thin {
		// The condition selects times that are no multiple of the step. For step 0 it selects all, because a remainder
		// by 0 is NULL.
		_, err := s.writer.thin.ExecContext(ctx, row, rows.Seconds(thin.Before), int64(thin.Step/time.Second))
		if err != nil {
			return err
		}
	}
	return nil
}

// Stats implements fleet.Store.
func (s *Store) Stats(ctx context.Context, id uuid.UUID, since time.Time) (list []fleet.Stats, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	var row int64
	if err := s.number.QueryRowContext(ctx, id[:]).Scan(&row); err != nil {
		return nil, s.fail("read statistics from", unknown(err))
	}
	err = s.each(ctx, s.stats, []any{row, rows.Seconds(since)}, func(row *sql.Rows) error {
		var at int64
		var stats fleet.Stats
		if err := row.Scan(&at, &stats.Text); err != nil {
			return err
		}
		stats.At = rows.Time(at)
		list = append(list, stats)
		return nil
	})
	return list, s.fail("read statistics from", err)
}

// Standings implements fleet.Store.
func (s *Store) Standings(ctx context.Context, silent time.Time, cloned time.Duration) (list []fleet.Standing, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	sets, err := s.setsOfLabels(ctx)
	if err != nil {
		return nil, s.fail("count the devices in", err)
	}
	err = s.each(ctx, s.standings, []any{rows.Seconds(silent), int64(cloned / time.Second)}, func(row *sql.Rows) error {
		var group rows.Standing
		var labels int64
		err := row.Scan(group.Into(&labels)...)
		list = append(list, group.Group(sets[labels]))
		return err
	})
	return list, s.fail("count the devices in", err)
}

// setsOfLabels returns the sets of labels by number.
func (s *Store) setsOfLabels(ctx context.Context) (map[int64]fleet.Labels, error) {
	sets := map[int64]fleet.Labels{}
	err := s.each(ctx, s.labelSets, nil, func(row *sql.Rows) error {
		var number int64
		var text string
		err := row.Scan(&number, &text)
		if err == nil {
			sets[number], err = fleet.LoadLabels(text)
		}
		return err
	})
	return sets, err
}

// each runs a query and calls row for each of its rows.
func (s *Store) each(ctx context.Context, query *sql.Stmt, arguments []any, row func(*sql.Rows) error) error {
	found, err := query.QueryContext(ctx, arguments...)
	return pass(found, err, row)
}

// pass calls row for the rows of a query, or returns the query's error.
func pass(found *sql.Rows, err error, row func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }() // Err has returned the error
	for found.Next() {
		if err := row(found); err != nil {
			return err
		}
	}
	return found.Err()
}

package postgres

import (
	"context"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// mostMissed is the largest number of changes that a server which was away reads one by one. For more it gets a
	// notice that it has missed some.
	mostMissed = 1000
	// keepChanges is how long changes are stored for a server that is away, in seconds.
	keepChanges = 10 * 60
	// seconds is the time by the database's clock, in seconds since 1970. The servers' clocks may differ.
	seconds = "extract(epoch FROM clock_timestamp())::bigint"
)

// enter adds to a batch the row with which other servers learn of a change. It must be last before the commit, because
// it locks a row that all servers need.
func (s *Store) enter(batch *pgx.Batch, notice fleet.Notice) {
	devices := notice.Devices
	if devices == nil {
		devices = []uuid.UUID{}
	}
	batch.Queue(`WITH next AS (UPDATE counters SET value = value + 1 WHERE name = 'change' RETURNING value)
		INSERT INTO changes (number, at, origin, kind, revision, layer, devices)
		SELECT value, `+seconds+`, $1, $2, $3, $4, $5 FROM next`,
		s.origin, int16(notice.Kind), notice.Revision, string(notice.Layer), devices)
	if s.notifies {
		batch.Queue("SELECT pg_notify($1, $2)", channel, s.origin.String())
	}
}

// notify sends this process notices of its own changes. err is the result of the transaction.
func (s *Store) notify(notices []fleet.Notice, err error) {
	if rows.Refusal(err) {
		return
	}
	for i := range notices {
		// A failed commit may have been made, with the answer lost. It then counts as another server's.
		notices[i].Own = err == nil
	}
	s.hub.Send(notices...)
}

// catchUp reads the changes of other servers.
func (s *Store) catchUp(ctx context.Context, conn *pgx.Conn) error {
	s.looking.Lock()
	defer s.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var newest int64
	var number *int64
	var origin *uuid.UUID
	var kind *int16
	var revision *int64
	var layer *string
	var devices []uuid.UUID
	var notices []fleet.Notice
	rows, err := conn.Query(ctx, `SELECT t.value, c.number, c.origin, c.kind, c.revision, c.layer, c.devices
		FROM counters t LEFT JOIN changes c ON c.number > $1
		WHERE t.name = 'change' ORDER BY c.number LIMIT $2`, s.last, mostMissed+1)
	if err != nil {
		return err
	}
	next := s.last
	whole := true
	_, err = pgx.ForEachRow(rows, []any{&newest, &number, &origin, &kind, &revision, &layer, &devices}, func() error {
		if number == nil { // there is no new one
			return nil
		}
		next++
		whole = whole && *number == next
		if *origin != s.origin {
			notices = append(notices, fleet.Notice{Kind: fleet.NoticeKind(*kind), Revision: *revision,
				Layer: fleet.LayerName(*layer), Devices: devices})
			devices = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !whole || next != newest {
		notices = []fleet.Notice{{Kind: fleet.Lost}}
	}
	s.last = newest
	s.hub.Send(notices...)
	return nil
}

// Maintain deletes changes that all servers know or have missed, and marks of requests that are too old to be replayed.
func (s *Store) Maintain(ctx context.Context) error {
	return s.call(ctx, func(ctx context.Context) error {
		if _, err := s.pool().Exec(ctx, "DELETE FROM changes WHERE at < "+seconds+" - $1::bigint", keepChanges); err != nil {
			return err
		}
		_, err := s.pool().Exec(ctx, "DELETE FROM nonces WHERE until < "+seconds)
		return err
	})
}

package postgres

import (
	"context"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Sealing implements fleet.Store.
func (s *Store) Sealing(ctx context.Context) (state string, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT state FROM sealing").Scan(&state)
	})
	return state, err
}

// SetSealing implements fleet.Store.
func (s *Store) SetSealing(ctx context.Context, before, after string) error {
	return s.call(ctx, func(ctx context.Context) error {
		done, err := s.pool().Exec(ctx, "UPDATE sealing SET state = $2 WHERE state = $1", before, after)
		if err == nil && done.RowsAffected() == 0 {
			err = fleet.ErrStale
		}
		return err
	})
}

const noUUID = "'00000000-0000-0000-0000-000000000000'::uuid"

var holdings = []rows.Holdings{
	{Kind: rows.Layers, First: "",
		Select: "SELECT name, " + noUUID + ", name, config, NULL::bytea, NULL::bytea, NULL::bytea FROM layers" +
			" WHERE name > $1 ORDER BY name LIMIT $2",
		Update: "UPDATE layers SET config = $1 WHERE name = $2 AND config = $3"},
	{Kind: rows.Layers, First: "",
		Select: "SELECT name, " + noUUID + ", name, config, NULL::bytea, NULL::bytea, NULL::bytea FROM release_layers" +
			" WHERE name > $1 ORDER BY name LIMIT $2",
		Update: "UPDATE release_layers SET config = $1 WHERE name = $2 AND config = $3"},
	{Kind: rows.Secrets, First: "",
		Select: "SELECT name, " + noUUID + ", name, value, NULL::bytea, NULL::bytea, NULL::bytea FROM secrets" +
			" WHERE name > $1 ORDER BY name LIMIT $2",
		Update: "UPDATE secrets SET value = $1 WHERE name = $2 AND value = $3"},
	{Kind: rows.Secrets, First: int64(0),
		Select: "SELECT number, " + noUUID + ", '" + fleet.SaltsName + "', salts, NULL::bytea, NULL::bytea, NULL::bytea FROM signatures" +
			" WHERE salts IS NOT NULL AND number > $1 ORDER BY number LIMIT $2",
		Update: "UPDATE signatures SET salts = $1 WHERE number = $2 AND salts = $3"},
	{Kind: rows.History, First: int64(0),
		Select: "SELECT revision, " + noUUID + ", layer, before, after, NULL::bytea, NULL::bytea FROM history" +
			" WHERE revision > $1 ORDER BY revision LIMIT $2",
		Update: "UPDATE history SET before = $1, after = $2 WHERE revision = $3 AND before IS NOT DISTINCT FROM $4 AND after IS NOT DISTINCT FROM $5"},
	{Kind: rows.Reports, First: int64(0),
		Select: "SELECT r.device, d.uuid, '', r.config, r.running_hash, r.attempted_path, r.attempted_reason FROM reports r" +
			" JOIN devices d ON d.id = r.device WHERE r.device > $1 ORDER BY r.device LIMIT $2",
		Update: "UPDATE reports SET config = $1, running_hash = $2, attempted_path = $3, attempted_reason = $4" +
			" WHERE device = $5 AND config = $6 AND running_hash = $7 AND attempted_path = $8 AND attempted_reason = $9"},
}

// Rewrite implements fleet.Store. At the end it writes the tables anew if the database supports that, because the
// places of former rows still have the old content. It cannot change the database's own log, or copies of it.
func (s *Store) Rewrite(ctx context.Context, change func(fleet.Holding) error) (changed int, err error) {
	if changed, err = rows.Rewrite(holdings, func(table rows.Holdings, after any) (any, int, error) {
		return s.rewriteSome(ctx, table, after, change)
	}); err != nil {
		return changed, err
	}
	if changed > 0 {
		if _, err := s.pool().Exec(ctx, "VACUUM (FULL) layers, release_layers, secrets, signatures, history, reports"); err != nil {
			s.log.Warn("cannot have the database drop what was there before the secrets were sealed; run VACUUM FULL there",
				"error", err)
		}
	}
	return changed, nil
}

// rewriteSome rewrites some rows after a key. last is the key of the last one; nil at the end.
func (s *Store) rewriteSome(
	ctx context.Context, table rows.Holdings, after any, change func(fleet.Holding) error,
) (last any, changed int, err error) {
	const portion = 1000
	err = s.call(ctx, func(ctx context.Context) error {
		last = nil
		found, err := s.pool().Query(ctx, table.Select, after, portion)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		read := 0
		var row rows.Holding
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			values, err := row.Change(table.Kind, change)
			if values != nil {
				batch.Queue(table.Update, values...).Exec(func(done pgconn.CommandTag) error {
					changed += int(done.RowsAffected())
					return nil
				})
			}
			if read++; read == portion {
				last = row.Key
			}
			return err
		})
		if err != nil || batch.Len() == 0 {
			return err
		}
		return s.pool().SendBatch(ctx, &batch).Close()
	})
	return last, changed, err
}

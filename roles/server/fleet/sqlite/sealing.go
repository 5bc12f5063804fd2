package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

// Sealing implements fleet.Store.
func (s *Store) Sealing(ctx context.Context) (state string, err error) {
	if err := s.use(ctx); err != nil {
		return "", err
	}
	defer s.mu.RUnlock()
	err = s.read.QueryRowContext(ctx, "SELECT state FROM sealing").Scan(&state)
	return state, s.fail("read how the secrets are sealed in", err)
}

// SetSealing implements fleet.Store.
func (s *Store) SetSealing(ctx context.Context, before, after string) error {
	return s.change(ctx, "store the state of the seals in", scope{}, func(conn *sql.Conn) error {
		result, err := conn.ExecContext(context.WithoutCancel(ctx), "UPDATE sealing SET state = ? WHERE state = ?", after, before)
		return one(result, err, fleet.ErrStale)
	}, nil)
}

var holdings = []rows.Holdings{
	{Kind: rows.Layers, First: "",
		Select: "SELECT name, zeroblob(16), name, config, NULL, NULL, NULL FROM layers WHERE name > ? ORDER BY name LIMIT ?",
		Update: "UPDATE layers SET config = ? WHERE name = ? AND config = ?"},
	{Kind: rows.Layers, First: 0,
		Select: "SELECT o.device, d.uuid, '', o.config, NULL, NULL, NULL FROM device_layers o JOIN devices d ON d.id = o.device" +
			" WHERE o.device > ? ORDER BY o.device LIMIT ?",
		Update: "UPDATE device_layers SET config = ? WHERE device = ? AND config = ?"},
	{Kind: rows.Layers, First: "",
		Select: "SELECT name, zeroblob(16), name, config, NULL, NULL, NULL FROM release_layers WHERE name > ? ORDER BY name LIMIT ?",
		Update: "UPDATE release_layers SET config = ? WHERE name = ? AND config = ?"},
	{Kind: rows.Secrets, First: "",
		Select: "SELECT name, zeroblob(16), name, value, NULL, NULL, NULL FROM secrets WHERE name > ? ORDER BY name LIMIT ?",
		Update: "UPDATE secrets SET value = ? WHERE name = ? AND value = ?"},
	{Kind: rows.Secrets, First: 0,
		Select: "SELECT number, zeroblob(16), '" + fleet.SaltsName + "', salts, NULL, NULL, NULL FROM signatures" +
			" WHERE salts IS NOT NULL AND number > ? ORDER BY number LIMIT ?",
		Update: "UPDATE signatures SET salts = ? WHERE number = ? AND salts = ?"},
	{Kind: rows.History, First: 0,
		Select: "SELECT revision, zeroblob(16), layer, before, after, NULL, NULL FROM history WHERE revision > ? ORDER BY revision LIMIT ?",
		Update: "UPDATE history SET before = ?, after = ? WHERE revision = ? AND before IS ? AND after IS ?"},
	{Kind: rows.Reports, First: 0,
		Select: "SELECT r.device, d.uuid, '', r.config, r.running_hash, r.attempted_path, r.attempted_reason FROM reports r" +
			" JOIN devices d ON d.id = r.device WHERE r.device > ? ORDER BY r.device LIMIT ?",
		Update: "UPDATE reports SET config = ?, running_hash = ?, attempted_path = ?, attempted_reason = ?" +
			" WHERE device = ? AND config = ? AND running_hash = ? AND attempted_path = ? AND attempted_reason = ?"},
}

// Rewrite implements fleet.Store. At the end it writes the file anew, because free pages and free places in pages still
// have the old content.
func (s *Store) Rewrite(ctx context.Context, change func(fleet.Holding) error) (changed int, err error) {
	if changed, err = rows.Rewrite(holdings, func(table rows.Holdings, after any) (any, int, error) {
		return s.rewriteSome(ctx, table, after, change)
	}); err != nil {
		return changed, err
	}
	if err := s.use(ctx); err != nil {
		return changed, err
	}
	defer s.mu.RUnlock()
	return changed, s.fail("write anew", s.writer.alone(func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		if _, err := conn.ExecContext(ctx, "VACUUM"); err != nil {
			return err
		}
		// Until then the new pages are in the log, and the old ones in the file. If a reader prevents the move, the
		// statement returns no error, but a value in its row.
		var held bool
		var pages, moved int
		if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&held, &pages, &moved); err != nil {
			return err
		}
		if held {
			return errReader
		}
		return nil
	}))
}

var errReader = errors.New("another program is reading the file, so that what was there before cannot be removed; try again without it")

// rewriteSome rewrites some rows after a key. last is the key of the last one; nil at the end.
func (s *Store) rewriteSome(
	ctx context.Context, table rows.Holdings, after any, change func(fleet.Holding) error,
) (last any, changed int, err error) {
	const portion = 1000
	err = s.change(ctx, "seal the secrets in", scope{}, func(conn *sql.Conn) error {
		found, err := conn.QueryContext(ctx, table.Select, after, portion)
		if err != nil {
			return err
		}
		defer func() { _ = found.Close() }() // Err has returned the error
		var updates [][]any
		read := 0
		for found.Next() {
			var row rows.Holding
			if err := found.Scan(row.Into()...); err != nil {
				return err
			}
			values, err := row.Change(table.Kind, change)
			if err != nil {
				return err
			}
			if values != nil {
				updates = append(updates, values)
			}
			if read++; read == portion {
				last = row.Key
			}
		}
		if err := found.Err(); err != nil {
			return err
		}
		if err := found.Close(); err != nil {
			return err
		}
		update, err := conn.PrepareContext(ctx, table.Update)
		if err != nil {
			return err
		}
		defer func() { _ = update.Close() }() // Exec has returned the error
		for _, values := range updates {
			if _, err := update.ExecContext(ctx, values...); err != nil {
				return err
			}
		}
		changed = len(updates)
		return nil
	}, func() []fleet.Notice {
		s.recentDevices.clear()
		s.recentLayers.clear()
		return nil
	})
	return last, changed, err
}

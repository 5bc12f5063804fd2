package sqlite

import (
	"context"
	"database/sql"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

// allowed returns ErrRevoked for the revoked key of a removed device.
func allowed(ctx context.Context, db querier, keyID string) error {
	var revoked bool
	err := db.QueryRowContext(context.WithoutCancel(ctx), "SELECT EXISTS (SELECT 1 FROM revoked_keys WHERE key_id = ?)",
		keyID).Scan(&revoked)
	if err == nil && revoked {
		err = fleet.ErrRevoked
	}
	return err
}

// keepRevoked records the key of a revoked device that is about to be removed. Only the writer calls it.
func keepRevoked(ctx context.Context, conn *sql.Conn, device fleet.Device, at time.Time) error {
	keyID := device.Names()
	if keyID == "" {
		return nil // it signs nothing
	}
	var kept int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM revoked_keys").Scan(&kept); err != nil {
		return err
	}
	if kept >= fleet.MostRevokedKeys {
		return fleet.ErrManyRevoked
	}
	_, err := conn.ExecContext(ctx, "INSERT INTO revoked_keys (key_id, device, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		keyID, device.ID[:], rows.Seconds(at))
	return err
}

// RevokedKeys implements fleet.Store.
func (s *Store) RevokedKeys(ctx context.Context) (list []fleet.RevokedKey, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	err = eachRow(ctx, s.read, "SELECT "+rows.RevokedKeyColumns+" FROM revoked_keys ORDER BY id", func(found *sql.Rows) error {
		var row rows.RevokedKey
		err := found.Scan(row.Into()...)
		list = append(list, row.Key())
		return err
	})
	if err != nil {
		return nil, s.fail("list the revoked keys in", err)
	}
	return list, nil
}

// AllowKey implements fleet.Store.
func (s *Store) AllowKey(ctx context.Context, keyID string) error {
	return s.change(ctx, "allow a key in", scope{}, func(conn *sql.Conn) error {
		result, err := conn.ExecContext(context.WithoutCancel(ctx), "DELETE FROM revoked_keys WHERE key_id = ?", keyID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return fleet.ErrUnknownKey
	}, nil)
}

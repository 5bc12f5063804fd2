package postgres

import (
	"context"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// allowed returns ErrRevoked for the revoked key of a removed device.
func allowed(
	ctx context.Context, db interface {
		QueryRow(ctx context.Context, query string, arguments ...any) pgx.Row
	}, keyID string,
) error {
	var revoked bool
	err := db.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM revoked_keys WHERE key_id = $1)", keyID).Scan(&revoked)
	if err == nil && revoked {
		err = fleet.ErrRevoked
	}
	return err
}

// keepRevoked records the key of a revoked device that is about to be removed. It does not record "", which signs
// nothing.
func keepRevoked(ctx context.Context, tx pgx.Tx, device uuid.UUID, keyID string, at time.Time) error {
	if keyID == "" {
		return nil
	}
	var kept int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM revoked_keys").Scan(&kept); err != nil {
		return err
	}
	if kept >= fleet.MostRevokedKeys {
		return fleet.ErrManyRevoked
	}
	_, err := tx.Exec(ctx, "INSERT INTO revoked_keys (key_id, device, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		keyID, device, rows.Seconds(at))
	return err
}

// RevokedKeys implements fleet.Store.
func (s *Store) RevokedKeys(ctx context.Context) (list []fleet.RevokedKey, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+rows.RevokedKeyColumns+" FROM revoked_keys ORDER BY id")
		if err != nil {
			return err
		}
		list = nil
		var row rows.RevokedKey
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			list = append(list, row.Key())
			return nil
		})
		return err
	})
	return list, err
}

// AllowKey implements fleet.Store.
func (s *Store) AllowKey(ctx context.Context, keyID string) error {
	return s.act(ctx, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		done, err := tx.Exec(ctx, "DELETE FROM revoked_keys WHERE key_id = $1", keyID)
		if err == nil && done.RowsAffected() == 0 {
			err = fleet.ErrUnknownKey
		}
		return true, err
	})
}

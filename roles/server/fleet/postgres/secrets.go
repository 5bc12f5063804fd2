package postgres

import (
	"context"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// presentSecret returns the present named secret; with revision 0 if there is none.
func presentSecret(ctx context.Context, from querier, name string) (fleet.Secret, error) {
	var row rows.Secret
	err := from.QueryRow(ctx, "SELECT "+rows.SecretColumns+" FROM secrets WHERE name = $1", name).Scan(row.Into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Secret{}, nil
	}
	if err != nil {
		return fleet.Secret{}, err
	}
	return row.Secret()
}

// ChangeSecret implements fleet.Store.
func (s *Store) ChangeSecret(ctx context.Context, change fleet.SecretChange) (secret fleet.Secret, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) (notices []fleet.Notice, err error) {
		secret, notices, err = s.changeSecret(ctx, tx, change)
		return notices, err
	})
	if err != nil {
		return fleet.Secret{}, err
	}
	return secret, nil
}

func (s *Store) changeSecret(ctx context.Context, tx pgx.Tx, change fleet.SecretChange) (fleet.Secret, []fleet.Notice, error) {
	next, amid, err := nextRevision(ctx, tx)
	if err != nil {
		return fleet.Secret{}, nil, err
	}
	before, err := presentSecret(ctx, tx, change.Name)
	if err != nil {
		return fleet.Secret{}, nil, err
	}
	text := fleet.ReferenceTo(change.Name)
	var uses fleet.Uses
	err = tx.QueryRow(ctx, `SELECT count(*), coalesce(max(revision), 0) FROM (SELECT revision, config FROM layers
		UNION ALL SELECT revision, config FROM release_layers) l WHERE position($1 IN config) > 0`, text).
		Scan(&uses.Layers, &uses.Last)
	if err != nil {
		return fleet.Secret{}, nil, err
	}
	secret, entry, err := change.Apply(before, uses, next)
	if err != nil || entry == nil {
		return secret, nil, err
	}
	var batch pgx.Batch
	draw(&batch, entry.Revision)
	remember(ctx, &batch, *entry)
	if change.Remove {
		batch.Queue("DELETE FROM secrets WHERE name = $1", change.Name)
	} else {
		batch.Queue(`INSERT INTO secrets (`+rows.SecretColumns+`) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value, revision = excluded.revision, author = excluded.author,
				at = excluded.at`, rows.SecretValues(secret)...)
		batch.Queue(`INSERT INTO concerns (selector, revision, waiting)
			SELECT DISTINCT selector, $2::bigint, $3::bigint FROM (SELECT selector, config FROM layers WHERE device IS NULL
				UNION ALL SELECT selector, config FROM release_layers WHERE name NOT LIKE 'devices/%') l WHERE position($1 IN config) > 0
			ON CONFLICT (selector) DO UPDATE SET revision = excluded.revision, waiting = excluded.waiting`, text, entry.Revision,
			fleet.Waiting{Amid: amid}.Of(entry.Revision))
		batch.Queue(`UPDATE devices SET own_revision = $2
			WHERE id IN (SELECT device FROM layers WHERE device IS NOT NULL AND position($1 IN config) > 0)
				OR uuid IN (SELECT substr(name, 9)::uuid FROM release_layers WHERE name LIKE 'devices/%' AND position($1 IN config) > 0)`,
			text, entry.Revision)
	}
	notices := []fleet.Notice{{Kind: fleet.TargetChanged, Revision: entry.Revision, Layer: entry.Layer}}
	return secret, notices, tx.SendBatch(ctx, &batch).Close()
}

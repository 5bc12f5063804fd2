package postgres

import (
	"context"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// Sign implements fleet.Store.
func (s *Store) Sign(ctx context.Context, change fleet.SignatureChange) (stored fleet.Signature, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) (notices []fleet.Notice, err error) {
		stored, notices, err = s.sign(ctx, tx, change)
		return notices, err
	})
	if err != nil {
		return fleet.Signature{}, err
	}
	return stored, nil
}

func (s *Store) sign(ctx context.Context, tx pgx.Tx, change fleet.SignatureChange) (fleet.Signature, []fleet.Notice, error) {
	next, amid, err := nextRevision(ctx, tx)
	if err != nil {
		return fleet.Signature{}, nil, err
	}
	var number int64
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(number), 0) FROM signatures").Scan(&number); err != nil {
		return fleet.Signature{}, nil, err
	}
	stored, entry, err := change.Apply(number, next)
	if err != nil {
		return fleet.Signature{}, nil, err
	}
	var batch pgx.Batch
	draw(&batch, entry.Revision)
	remember(ctx, &batch, entry)
	if change.Remove {
		batch.Queue("DELETE FROM signatures")
	} else {
		batch.Queue("UPDATE signatures SET manifest = NULL, salts = NULL WHERE manifest IS NOT NULL")
		batch.Queue("INSERT INTO signatures ("+rows.SignatureColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", rows.SignatureValues(stored)...)
	}
	if change.Remove { // a new statement concerns all devices anyway
		concern(&batch, fleet.Selector{}, entry.Revision, fleet.Waiting{Amid: amid})
	}
	notices := []fleet.Notice{{Kind: fleet.TargetChanged, Revision: entry.Revision, Layer: entry.Layer}}
	return stored, notices, tx.SendBatch(ctx, &batch).Close()
}

// Signatures implements fleet.Store.
func (s *Store) Signatures(ctx context.Context) (list []fleet.Signature, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		list = nil
		found, err := s.pool().Query(ctx, "SELECT "+rows.SignatureColumns+" FROM signatures ORDER BY number")
		if err != nil {
			return err
		}
		var row rows.Signature
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			signature, err := row.Signature()
			list = append(list, signature)
			return err
		})
		return err
	})
	return list, err
}

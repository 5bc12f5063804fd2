package postgres

import (
	"context"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// Change is as of fleet.Store.
func (s *Store) Change(ctx context.Context, change fleet.Change) (layer fleet.Layer, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) (notice *fleet.Notice, err error) {
		layer, notice, err = s.change(ctx, tx, change)
		return notice, err
	})
	if err != nil {
		return fleet.Layer{}, err
	}
	return layer, nil
}

func (s *Store) change(ctx context.Context, tx pgx.Tx, change fleet.Change) (fleet.Layer, *fleet.Notice, error) {
	last, err := lock(ctx, tx)
	if err != nil {
		return fleet.Layer{}, nil, err
	}
	var device *int64
	if change.Name.IsDevice() {
		err := tx.QueryRow(ctx, "SELECT id FROM devices WHERE uuid = $1 FOR UPDATE", change.Name.Device()).Scan(&device)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fleet.ErrUnknownDevice
		}
		if err != nil {
			return fleet.Layer{}, nil, err
		}
	}
	before, err := present(ctx, tx, change.Name)
	if err != nil {
		return fleet.Layer{}, nil, err
	}
	layer, entry, err := change.Apply(before, last+1)
	if err != nil || entry == nil {
		return layer, nil, err
	}
	for name, revision := range change.Secrets {
		if secret, err := presentSecret(ctx, tx, name); err != nil {
			return fleet.Layer{}, nil, err
		} else if secret.Revision != revision {
			return fleet.Layer{}, nil, fleet.ErrStale
		}
	}
	var batch pgx.Batch
	draw(&batch, layer.Revision)
	if change.Remove {
		batch.Queue("DELETE FROM layers WHERE name = $1", string(layer.Name))
	} else {
		batch.Queue(`INSERT INTO layers (`+rows.LayerColumns+`, device)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, priority = excluded.priority,
				config = excluded.config, revision = excluded.revision, author = excluded.author, at = excluded.at`,
			append(rows.LayerValues(layer), device)...)
	}
	remember(&batch, *entry)
	notice := &fleet.Notice{Kind: fleet.TargetChanged, Revision: layer.Revision, Layer: layer.Name}
	if device != nil {
		batch.Queue("UPDATE devices SET own_revision = $2 WHERE id = $1", *device, layer.Revision)
		notice = changed(change.Name.Device())
	} else {
		concern(&batch, layer.Selector, layer.Revision)
		if before.Revision > 0 {
			concern(&batch, before.Selector, layer.Revision)
		}
	}
	return layer, notice, tx.SendBatch(ctx, &batch).Close()
}

// draw makes a revision the last one drawn.
func draw(batch *pgx.Batch, revision int64) {
	batch.Queue("UPDATE counters SET value = $1 WHERE name = 'revision'", revision)
}

// concern keeps the last revision that concerned the devices of a selector.
func concern(batch *pgx.Batch, selector fleet.Selector, revision int64) {
	batch.Queue(`INSERT INTO concerns (selector, revision) VALUES ($1, $2)
		ON CONFLICT (selector) DO UPDATE SET revision = excluded.revision`, selector.String(), revision)
}

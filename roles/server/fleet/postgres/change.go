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
	before, there, err := present(ctx, tx, change.Name)
	if err != nil {
		return fleet.Layer{}, nil, err
	}
	switch {
	case change.Match != nil && *change.Match != before.Revision:
		return fleet.Layer{}, nil, &fleet.StaleError{Revision: before.Revision}
	case change.Remove && !there:
		return fleet.Layer{}, nil, fleet.ErrUnknownLayer
	case !change.Remove && there && before.Selector.String() == change.Selector.String() &&
		before.Priority == change.Priority && before.Config.Equal(change.Config):
		return before, nil, nil
	}
	layer := change.Layer
	layer.Revision, layer.At = last+1, rows.Time(rows.Seconds(layer.At))
	if change.Remove {
		layer.Selector, layer.Priority = before.Selector, before.Priority
	}
	entry := fleet.Entry{Revision: layer.Revision, Authorship: change.Authorship, Layer: layer.Name, Action: fleet.Set,
		Restores: change.Restores, Selector: layer.Selector, Priority: layer.Priority, After: &layer.Config}
	if there {
		entry.Before = &before.Config
	}
	var batch pgx.Batch
	draw(&batch, layer.Revision)
	if change.Remove {
		entry.Action, entry.After = fleet.Removed, nil
		batch.Queue("DELETE FROM layers WHERE name = $1", string(layer.Name))
	} else {
		batch.Queue(`INSERT INTO layers (`+rows.LayerColumns+`, device)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, priority = excluded.priority,
				config = excluded.config, revision = excluded.revision, author = excluded.author, at = excluded.at`,
			append(rows.LayerValues(layer), device)...)
	}
	remember(&batch, entry)
	notice := &fleet.Notice{Kind: fleet.TargetChanged, Revision: layer.Revision, Layer: layer.Name}
	if device != nil {
		batch.Queue("UPDATE devices SET own_revision = $2 WHERE id = $1", *device, layer.Revision)
		notice = changed(change.Name.Device())
	} else {
		concern(&batch, layer.Selector, layer.Revision)
		if there {
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

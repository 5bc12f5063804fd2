package postgres

import (
	"context"
	"fmt"
	"math"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

const selectRelease = "SELECT " + rows.ReleaseColumns + " FROM releases"

func scanReleases(found pgx.Rows) (list []fleet.Release, err error) {
	var row rows.Release
	_, err = pgx.ForEachRow(found, row.Into(), func() error {
		of, err := row.Release()
		list = append(list, of)
		return err
	})
	return list, err
}

// queueActive adds to a batch the statements that read the active release with its Before; nil for none.
func queueActive(batch *pgx.Batch, active **fleet.Release) {
	batch.Queue(selectRelease + " WHERE active = 1").Query(func(found pgx.Rows) error {
		list, err := scanReleases(found)
		if *active = nil; len(list) > 0 {
			*active = &list[0]
		}
		return err
	})
	batch.Queue("SELECT " + rows.BeforeColumns + " FROM release_layers ORDER BY name::bytea").Query(func(found pgx.Rows) error {
		var row rows.Before
		_, err := pgx.ForEachRow(found, row.Into(), func() error {
			before, err := row.Before()
			if err == nil && *active != nil {
				(*active).Before = append((*active).Before, before)
			}
			return err
		})
		return err
	})
}

func activeRelease(ctx context.Context, tx pgx.Tx) (active *fleet.Release, err error) {
	var batch pgx.Batch
	queueActive(&batch, &active)
	err = tx.SendBatch(ctx, &batch).Close()
	return active, err
}

// queueBefore adds to a batch the statement that stores a layer as before a new release. device is the device of the
// layer, or nil. It must come before the statements that change the device.
func queueBefore(batch *pgx.Batch, name fleet.LayerName, before fleet.Layer, device *int64) {
	batch.Queue("INSERT INTO release_layers ("+rows.BeforeColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8 + coalesce((SELECT own_revision FROM devices WHERE id = $9), 0))`,
		append(rows.BeforeValues(name, before, 0), device)...)
}

// Releases implements fleet.Store.
func (s *Store) Releases(ctx context.Context, below int64, limit int) (list []fleet.Release, err error) {
	if below == 0 {
		below = math.MaxInt64
	}
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, selectRelease+" WHERE id < $1 ORDER BY id DESC LIMIT $2", below, limit)
		if err == nil {
			list, err = scanReleases(found)
		}
		return err
	})
	return list, err
}

// Release implements fleet.Store.
func (s *Store) Release(ctx context.Context, id int64) (of fleet.Release, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, selectRelease+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		list, err := scanReleases(found)
		if err == nil && len(list) == 0 {
			err = fleet.ErrUnknownRelease
		}
		if err == nil {
			of = list[0]
		}
		return err
	})
	return of, err
}

// MoveRelease implements fleet.Store.
func (s *Store) MoveRelease(ctx context.Context, move fleet.ReleaseMove) (moved fleet.Release, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) (notices []fleet.Notice, err error) {
		moved, notices, err = s.move(ctx, tx, move)
		return notices, err
	})
	if err != nil {
		return fleet.Release{}, err
	}
	return moved, nil
}

func (s *Store) move(ctx context.Context, tx pgx.Tx, move fleet.ReleaseMove) (fleet.Release, []fleet.Notice, error) {
	last, err := lock(ctx, tx)
	if err != nil {
		return fleet.Release{}, nil, err
	}
	found, err := tx.Query(ctx, selectRelease+" WHERE id = $1", move.ID)
	if err != nil {
		return fleet.Release{}, nil, err
	}
	list, err := scanReleases(found)
	if err == nil && len(list) == 0 {
		err = fleet.ErrUnknownRelease
	}
	if err != nil {
		return fleet.Release{}, nil, err
	}
	moved, _, err := move.Apply(list[0], last+1)
	if err != nil {
		return fleet.Release{}, nil, err
	}
	var batch pgx.Batch
	var notices []fleet.Notice
	if move.Undoes() {
		if notices, last, err = s.undo(ctx, tx, &batch, move); err != nil {
			return fleet.Release{}, nil, err
		}
	}
	_, entry, _ := move.Apply(list[0], last+1)
	remember(ctx, &batch, entry)
	draw(&batch, entry.Revision)
	if !moved.Active() {
		batch.Queue("DELETE FROM release_layers")
		batch.Queue("UPDATE concerns SET waiting = NULL WHERE waiting IS NOT NULL")
		batch.Queue("UPDATE releases SET active = NULL WHERE active = 1")
	}
	progress, outcome := rows.MovedValues(moved)
	batch.Queue("UPDATE releases SET version = $2, progress = $3, outcome = $4 WHERE id = $1", moved.ID, moved.Version, progress, outcome)
	notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Layer: entry.Layer, Revision: entry.Revision})
	return moved, notices, tx.SendBatch(ctx, &batch).Close()
}

// undo adds to a batch the statements that restore the layers of the active release. It returns the last revision that
// they draw.
func (s *Store) undo(ctx context.Context, tx pgx.Tx, batch *pgx.Batch, move fleet.ReleaseMove) ([]fleet.Notice, int64, error) {
	active, err := activeRelease(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	changes := move.Undoing(active.Before, func(fleet.LayerName) bool { return false })
	present, devices, err := presentAll(ctx, tx, changes)
	if err != nil {
		return nil, 0, err
	}
	// The layers of removed devices are gone, too.
	there := fleet.Present{Last: present.Last}
	for i, change := range changes.Changes {
		if !present.Unknown[change.Name] {
			there.Layers = append(there.Layers, present.Layers[i])
		}
	}
	result, err := move.Undoing(active.Before, func(name fleet.LayerName) bool { return present.Unknown[name] }).Apply(there)
	if err != nil {
		return nil, 0, err
	}
	return writeResult(ctx, batch, result, there, devices), result.Last, nil
}

// Census implements fleet.Store.
func (s *Store) Census(ctx context.Context) (list []fleet.Counted, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+fmt.Sprintf(rows.CountedColumns, "labels")+
			" FROM devices d JOIN standings s ON s.device = d.id")
		if err != nil {
			return err
		}
		list = nil
		var row rows.Counted
		var text string
		_, err = pgx.ForEachRow(found, row.Into(&text), func() error {
			labels, err := fleet.LoadLabels(text)
			list = append(list, row.Device(labels))
			return err
		})
		return err
	})
	return list, err
}

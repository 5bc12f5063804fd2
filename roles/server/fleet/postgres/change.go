package postgres

import (
	"context"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ChangeAll is as of fleet.Store.
func (s *Store) ChangeAll(ctx context.Context, batch fleet.Batch) (layers []fleet.Layer, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) (notices []fleet.Notice, err error) {
		layers, notices, err = s.changeAll(ctx, tx, batch)
		return notices, err
	})
	if err != nil {
		return nil, err
	}
	return layers, nil
}

func (s *Store) changeAll(ctx context.Context, tx pgx.Tx, changes fleet.Batch) ([]fleet.Layer, []fleet.Notice, error) {
	present, devices, err := presentAll(ctx, tx, changes)
	if err != nil {
		return nil, nil, err
	}
	layers, entries, err := changes.Apply(present)
	if err != nil {
		return nil, nil, err
	}
	var batch pgx.Batch
	var notices []fleet.Notice
	var concerned []uuid.UUID
	last := present.Last
	for i, change := range changes.Changes {
		if entries[i] == nil {
			continue
		}
		layer := layers[i]
		last = layer.Revision
		var device *int64
		if change.Name.IsDevice() {
			id := change.Name.Device()
			device = new(devices[id])
			concerned = append(concerned, id)
			batch.Queue("UPDATE devices SET own_revision = $2 WHERE id = $1", *device, layer.Revision)
		} else {
			notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Revision: layer.Revision, Layer: layer.Name})
			concern(&batch, layer.Selector, layer.Revision)
			if before := present.Layers[i]; before.Revision > 0 {
				concern(&batch, before.Selector, layer.Revision)
			}
		}
		if change.Remove {
			batch.Queue("DELETE FROM layers WHERE name = $1", string(layer.Name))
		} else {
			batch.Queue(`INSERT INTO layers (`+rows.LayerColumns+`, device)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, priority = excluded.priority,
					config = excluded.config, revision = excluded.revision, author = excluded.author, at = excluded.at`,
				append(rows.LayerValues(layer), device)...)
		}
		remember(&batch, *entries[i])
	}
	if last == present.Last {
		return layers, nil, nil
	}
	draw(&batch, last)
	if concerned != nil {
		notices = append(notices, fleet.Notice{Kind: fleet.DevicesChanged, Devices: concerned})
	}
	return layers, notices, tx.SendBatch(ctx, &batch).Close()
}

// presentAll reads and locks what a batch depends on, and returns the rows of its devices too.
func presentAll(ctx context.Context, tx pgx.Tx, batch fleet.Batch) (fleet.Present, map[uuid.UUID]int64, error) {
	present := fleet.Present{Layers: make([]fleet.Layer, len(batch.Changes)), Unknown: map[fleet.LayerName]bool{},
		Labels: map[fleet.LayerName]fleet.Labels{}, Secrets: map[string]int64{}}
	devices := map[uuid.UUID]int64{}
	var err error
	if present.Last, err = lock(ctx, tx); err != nil {
		return present, nil, err
	}
	var names []string
	var ids []uuid.UUID
	for _, change := range batch.Changes {
		names = append(names, string(change.Name))
		if change.Name.IsDevice() {
			ids = append(ids, change.Name.Device())
		}
	}
	if len(ids) > 0 {
		var row int64
		var id uuid.UUID
		var text string
		found, err := tx.Query(ctx, "SELECT id, uuid, labels FROM devices WHERE uuid = ANY($1) ORDER BY id FOR UPDATE", ids)
		if err == nil {
			_, err = pgx.ForEachRow(found, []any{&row, &id, &text}, func() (err error) {
				devices[id] = row
				present.Labels[fleet.DeviceLayer(id)], err = fleet.LoadLabels(text)
				return err
			})
		}
		if err != nil {
			return present, nil, err
		}
	}
	there := map[fleet.LayerName]fleet.Layer{}
	var row rows.Layer
	found, err := tx.Query(ctx, "SELECT "+rows.LayerColumns+" FROM layers WHERE name = ANY($1)", names)
	if err == nil {
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			layer, err := row.Layer()
			there[layer.Name] = layer
			return err
		})
	}
	if err != nil {
		return present, nil, err
	}
	for i, change := range batch.Changes {
		present.Layers[i] = there[change.Name]
		if change.Name.IsDevice() {
			_, known := devices[change.Name.Device()]
			present.Unknown[change.Name] = !known
		}
	}
	for _, name := range batch.Secrets() {
		secret, err := presentSecret(ctx, tx, name)
		if err != nil {
			return present, nil, err
		}
		present.Secrets[name] = secret.Revision
	}
	return present, devices, nil
}

// hold locks the row of a device and returns its number and the device's labels.
func hold(ctx context.Context, tx pgx.Tx, id uuid.UUID) (row int64, labels fleet.Labels, err error) {
	var text string
	err = tx.QueryRow(ctx, "SELECT id, labels FROM devices WHERE uuid = $1 FOR UPDATE", id).Scan(&row, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, fleet.ErrUnknownDevice
	}
	if err == nil {
		labels, err = fleet.LoadLabels(text)
	}
	return row, labels, err
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

package postgres

import (
	"context"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ChangeAll implements fleet.Store.
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
	result, err := changes.Apply(present)
	if err != nil {
		return nil, nil, err
	}
	var batch pgx.Batch
	notices := writeResult(ctx, &batch, result, present, devices)
	if notices == nil {
		return result.Layers, nil, nil
	}
	return result.Layers, notices, tx.SendBatch(ctx, &batch).Close()
}

// writeResult adds to a batch the statements for the result of changes. devices are the rows of the devices of their layers.
func writeResult(ctx context.Context, batch *pgx.Batch, result fleet.Result, present fleet.Present, devices map[uuid.UUID]int64) (notices []fleet.Notice) {
	var concerned []uuid.UUID
	for i, layer := range result.Layers {
		entry, before := result.Entries[i], present.Layers[i]
		if entry == nil {
			continue
		}
		var device *int64
		if layer.Name.IsDevice() {
			device = new(devices[layer.Name.Device()])
		}
		if result.Release != nil {
			queueBefore(batch, layer.Name, before, device)
		}
		if device != nil {
			concerned = append(concerned, layer.Name.Device())
			batch.Queue("UPDATE devices SET own_revision = $2 WHERE id = $1", *device, layer.Revision)
		} else {
			notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Revision: layer.Revision, Layer: layer.Name})
			concern(batch, layer.Selector, layer.Revision, result.Waiting)
			if before.Revision > 0 {
				concern(batch, before.Selector, layer.Revision, result.Waiting)
			}
		}
		if entry.Action == fleet.Removed {
			batch.Queue("DELETE FROM layers WHERE name = $1", string(layer.Name))
		} else {
			batch.Queue(`INSERT INTO layers (`+rows.LayerColumns+`, device)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, priority = excluded.priority,
					config = excluded.config, revision = excluded.revision, author = excluded.author, at = excluded.at`,
				append(rows.LayerValues(layer), device)...)
		}
		remember(ctx, batch, *entry)
	}
	if result.Last > present.Last {
		draw(batch, result.Last)
	}
	if concerned != nil {
		notices = append(notices, fleet.Notice{Kind: fleet.DevicesChanged, Devices: concerned})
	}
	if begun := result.Release; begun != nil {
		notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Revision: begun.ID, Layer: begun.HistoryName()})
		remember(ctx, batch, *result.Begun)
		batch.Queue("INSERT INTO releases ("+rows.ReleaseColumns+", active) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			rows.ReleaseValues(*begun)...)
	}
	return notices
}

// presentAll reads and locks everything on which a batch depends. It also returns the rows of its devices.
func presentAll(ctx context.Context, tx pgx.Tx, batch fleet.Batch) (fleet.Present, map[uuid.UUID]int64, error) {
	present := fleet.Present{Layers: make([]fleet.Layer, len(batch.Changes)), Unknown: map[fleet.LayerName]bool{},
		Labels: map[fleet.LayerName]fleet.Labels{}, Secrets: map[string]int64{}}
	devices := map[uuid.UUID]int64{}
	var err error
	if present.Last, err = lock(ctx, tx); err != nil {
		return present, nil, err
	}
	if present.Release, err = activeRelease(ctx, tx); err != nil {
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

// lockDevice locks the row of a device. It returns the row's number and the device's labels.
func lockDevice(ctx context.Context, tx pgx.Tx, id uuid.UUID) (row int64, labels fleet.Labels, err error) {
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

// draw sets the fleet's last revision.
func draw(batch *pgx.Batch, revision int64) {
	batch.Queue("UPDATE counters SET value = $1 WHERE name = 'revision'", revision)
}

// concern stores the last revision that concerned the devices of a selector.
func concern(batch *pgx.Batch, selector fleet.Selector, revision int64, waiting fleet.Waiting) {
	batch.Queue(`INSERT INTO concerns (selector, revision, waiting) VALUES ($1, $2, $3)
		ON CONFLICT (selector) DO UPDATE SET revision = excluded.revision,
			waiting = CASE WHEN $4 THEN coalesce(concerns.waiting, concerns.revision) ELSE excluded.waiting END`,
		selector.String(), revision, waiting.Of(revision), waiting.Begins)
}

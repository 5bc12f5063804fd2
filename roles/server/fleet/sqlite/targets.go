package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// Targets implements fleet.Store.
func (s *Store) Targets(ctx context.Context) (targets fleet.Targets, err error) {
	if err := s.use(ctx); err != nil {
		return fleet.Targets{}, err
	}
	defer s.mu.RUnlock()
	// A transaction reads one moment.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fleet.Targets{}, s.fail("read the targets from", err)
	}
	targets, err = s.loadTargets(ctx, tx)
	err = errors.Join(err, tx.Rollback())
	if err == nil && s.writer != nil {
		err = s.noticeOthers(context.WithoutCancel(ctx)) // before anybody uses older devices together with these targets
	}
	if err != nil {
		return fleet.Targets{}, s.fail("read the targets from", err)
	}
	return targets, nil
}

func (s *Store) loadTargets(ctx context.Context, tx *sql.Tx) (targets fleet.Targets, err error) {
	if err := tx.QueryRowContext(ctx, lastRevision).Scan(&targets.Revision); err != nil {
		return targets, err
	}
	if err := tx.QueryRowContext(ctx, rows.LastSigned).Scan(&targets.Signed); err != nil {
		return targets, err
	}
	err = s.each(ctx, tx.StmtContext(ctx, s.layers), nil, func(row *sql.Rows) error {
		layer, err := scanLayer(row)
		if err != nil {
			return err
		}
		if layer.Name == fleet.Everyone {
			targets.Everyone = layer
		} else {
			targets.Labels = append(targets.Labels, layer)
		}
		return nil
	})
	if err != nil {
		return targets, err
	}
	err = s.each(ctx, tx.StmtContext(ctx, s.concerns), nil, func(row *sql.Rows) error {
		var concern fleet.Concern
		var selector string
		err := row.Scan(&selector, &concern.Revision, &concern.Waiting)
		if err == nil {
			concern.Selector, err = rows.Selector(selector)
			err = damaged(err)
		}
		targets.Concerns = append(targets.Concerns, concern)
		return err
	})
	if err != nil {
		return targets, err
	}
	err = s.each(ctx, tx.StmtContext(ctx, s.secrets), nil, func(row *sql.Rows) error {
		secret, err := scanSecret(row)
		targets.Secrets = append(targets.Secrets, secret)
		return err
	})
	if err != nil {
		return targets, err
	}
	targets.Release, err = activeRelease(ctx, tx)
	return targets, err
}

const selectLayer = "SELECT " + rows.LayerColumns + " FROM layers"

func scanLayer(from interface{ Scan(...any) error }) (fleet.Layer, error) {
	var row rows.Layer
	if err := from.Scan(row.Into()...); err != nil {
		return fleet.Layer{}, err
	}
	layer, err := row.Layer()
	return layer, damaged(err)
}

// Layer implements fleet.Store.
func (s *Store) Layer(ctx context.Context, name fleet.LayerName) (fleet.Layer, error) {
	if name.IsDevice() {
		device, err := s.Device(ctx, name.Device())
		if err == nil && device.Own == nil || errors.Is(err, fleet.ErrUnknownDevice) {
			err = fleet.ErrUnknownLayer
		}
		if err != nil {
			return fleet.Layer{}, err
		}
		return *device.Own, nil
	}
	if err := s.use(ctx); err != nil {
		return fleet.Layer{}, err
	}
	defer s.mu.RUnlock()
	layer, err := s.recentLayers.get(name, func() (fleet.Layer, error) {
		layer, err := scanLayer(s.layer.QueryRowContext(ctx, name))
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return layer, err
	})
	if err == nil && layer.Revision == 0 {
		err = fleet.ErrUnknownLayer
	}
	return layer, s.fail("read a layer from", err)
}

// DeviceLayers implements fleet.Store.
func (s *Store) DeviceLayers(
	ctx context.Context, containing, after string, limit int,
) (list []fleet.Layer, next string, err error) {
	page, err := rows.NewPage[fleet.Layer](after, limit)
	if err != nil {
		return nil, "", err
	}
	if err := s.use(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.RUnlock()
	err = s.each(ctx, s.deviceLayers, []any{page.After, []byte(containing), page.Limit()}, func(from *sql.Rows) error {
		var row rows.DeviceLayer
		if err := from.Scan(row.Into()...); err != nil {
			return err
		}
		layer, err := row.Layer()
		page.Add(row.ID, layer)
		return damaged(err)
	})
	if err != nil {
		return nil, "", s.fail("list the layers in", err)
	}
	return page.List, page.Next, nil
}

// ChangeAll implements fleet.Store.
func (s *Store) ChangeAll(ctx context.Context, batch fleet.Batch) ([]fleet.Layer, error) {
	var layers []fleet.Layer
	var notices []fleet.Notice
	var concerned scope
	for _, change := range batch.Changes {
		if change.Name.IsDevice() {
			concerned.devices = append(concerned.devices, change.Name.Device())
		} else {
			concerned.layers = append(concerned.layers, change.Name)
		}
	}
	err := s.change(ctx, "store layers in", concerned, func(conn *sql.Conn) (err error) {
		layers, notices, err = s.changeAll(context.WithoutCancel(ctx), conn, batch)
		return err
	}, func() []fleet.Notice { return notices })
	if err != nil {
		return nil, err
	}
	return layers, nil
}

// changeAll makes all changes of a batch. If it returns a refusal, it has written nothing.
func (s *Store) changeAll(ctx context.Context, conn *sql.Conn, batch fleet.Batch) ([]fleet.Layer, []fleet.Notice, error) {
	present := fleet.Present{Unknown: map[fleet.LayerName]bool{}, Labels: map[fleet.LayerName]fleet.Labels{}, Secrets: map[string]int64{}}
	devices := make([]int64, len(batch.Changes))
	for i, change := range batch.Changes {
		layer, device, labels, err := s.present(ctx, conn, change.Name)
		if errors.Is(err, fleet.ErrUnknownDevice) {
			present.Unknown[change.Name], err = true, nil
		}
		if err != nil {
			return nil, nil, err
		}
		present.Layers, devices[i] = append(present.Layers, layer), device
		present.Labels[change.Name] = labels
	}
	for _, name := range batch.Secrets() {
		secret, err := presentSecret(ctx, conn, name)
		if err != nil {
			return nil, nil, err
		}
		present.Secrets[name] = secret.Revision
	}
	err := conn.QueryRowContext(ctx, lastRevision).Scan(&present.Last)
	if err != nil {
		return nil, nil, err
	}
	if present.Release, err = activeRelease(ctx, conn); err != nil {
		return nil, nil, err
	}
	result, err := batch.Apply(present)
	if err != nil {
		return nil, nil, err
	}
	notices, err := s.writeResult(ctx, conn, result, present, devices)
	return result.Layers, notices, err
}

// writeResult writes the result of a batch. devices are the rows of the devices of its layers.
func (s *Store) writeResult(
	ctx context.Context, conn *sql.Conn, result fleet.Result, present fleet.Present, devices []int64,
) (notices []fleet.Notice, err error) {
	var concerned []uuid.UUID
	for i, layer := range result.Layers {
		entry, before := result.Entries[i], present.Layers[i]
		if entry == nil {
			continue
		}
		if err := record(ctx, conn, *entry); err != nil {
			return nil, err
		}
		if result.Release != nil {
			if err := keepBefore(ctx, conn, layer.Name, before, devices[i]); err != nil {
				return nil, err
			}
		}
		if layer.Name.IsDevice() {
			concerned = append(concerned, layer.Name.Device())
			err = keepDeviceLayer(ctx, conn, devices[i], layer, entry.Action == fleet.Removed)
		} else {
			notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Layer: layer.Name, Revision: layer.Revision})
			err = keepLayer(ctx, conn, layer, before, entry.Action == fleet.Removed, result.Waiting)
		}
		if err != nil {
			return nil, err
		}
	}
	if concerned != nil {
		notices = append(notices, fleet.Notice{Kind: fleet.DevicesChanged, Devices: concerned})
	}
	if result.Release != nil {
		notices = append(notices, fleet.Notice{Kind: fleet.TargetChanged, Layer: result.Release.HistoryName(), Revision: result.Release.ID})
		err = addRelease(ctx, conn, *result.Release, *result.Begun)
	}
	return notices, err
}

// present returns a layer in the transaction, with revision 0 if there is none, and the row and the labels of its
// device.
func (s *Store) present(ctx context.Context, conn *sql.Conn, name fleet.LayerName) (fleet.Layer, int64, fleet.Labels, error) {
	if name.IsDevice() {
		id := name.Device()
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		if err != nil || device.Own == nil {
			return fleet.Layer{}, row, device.Labels, unknown(err)
		}
		return *device.Own, row, device.Labels, nil
	}
	layer, err := scanLayer(conn.QueryRowContext(ctx, selectLayer+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Layer{}, 0, nil, nil
	}
	return layer, 0, nil, err
}

func keepDeviceLayer(ctx context.Context, conn *sql.Conn, row int64, layer fleet.Layer, remove bool) error {
	var err error
	if remove {
		_, err = conn.ExecContext(ctx, "DELETE FROM device_layers WHERE device = ?", row)
	} else {
		_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO device_layers (device, config, revision, author, at)"+
			" VALUES (?, ?, ?, ?, ?)", append([]any{row}, rows.DeviceLayerValues(layer)...)...)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "UPDATE standings SET own_revision = ? WHERE device = ?", layer.Revision, row)
	}
	return err
}

func keepLayer(ctx context.Context, conn *sql.Conn, layer, before fleet.Layer, remove bool, waiting fleet.Waiting) error {
	var err error
	if remove {
		_, err = conn.ExecContext(ctx, "DELETE FROM layers WHERE name = ?", layer.Name)
	} else {
		_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO layers ("+rows.LayerColumns+")"+
			" VALUES (?, ?, ?, ?, ?, ?, ?)", rows.LayerValues(layer)...)
	}
	concerned := []fleet.Selector{layer.Selector}
	if before.Revision > 0 {
		concerned = append(concerned, before.Selector)
	}
	for _, selector := range concerned {
		if err == nil {
			_, err = conn.ExecContext(ctx, "INSERT INTO concerns (selector, revision, waiting) VALUES (?1, ?2, ?3)"+
				" ON CONFLICT (selector) DO UPDATE SET revision = ?2, waiting = CASE WHEN ?4 THEN coalesce(waiting, revision) ELSE ?3 END",
				selector.String(), layer.Revision, waiting.Of(layer.Revision), waiting.Begins)
		}
	}
	return err
}

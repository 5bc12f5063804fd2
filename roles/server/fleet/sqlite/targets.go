package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// Targets implements fleet.Store.
func (s *Store) Targets(ctx context.Context) (targets fleet.Targets, err error) {
	if err := s.use(ctx); err != nil {
		return fleet.Targets{}, err
	}
	defer s.mu.RUnlock()
	// One transaction: one moment.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fleet.Targets{}, s.fail("read the targets from", err)
	}
	targets, err = s.loadTargets(ctx, tx)
	if err := errors.Join(err, tx.Rollback()); err != nil {
		return fleet.Targets{}, s.fail("read the targets from", err)
	}
	return targets, nil
}

func (s *Store) loadTargets(ctx context.Context, tx *sql.Tx) (targets fleet.Targets, err error) {
	if err := tx.QueryRowContext(ctx, lastRevision).Scan(&targets.Revision); err != nil {
		return targets, err
	}
	err = s.each(ctx, tx.StmtContext(ctx, s.layers), nil, func(rows *sql.Rows) error {
		layer, err := scanLayer(rows)
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
	err = s.each(ctx, tx.StmtContext(ctx, s.concerns), nil, func(rows *sql.Rows) error {
		var concern fleet.Concern
		var selector string
		err := rows.Scan(&selector, &concern.Revision)
		if err == nil {
			concern.Selector, err = parseSelector(selector)
		}
		targets.Concerns = append(targets.Concerns, concern)
		return err
	})
	return targets, err
}

func parseSelector(text string) (fleet.Selector, error) {
	selector, err := fleet.ParseSelector(text)
	if err != nil {
		return fleet.Selector{}, fmt.Errorf("%w: a selector: %w", ErrDamaged, err)
	}
	return selector, nil
}

const selectLayer = "SELECT name, selector, priority, config, revision, author, at FROM layers"

func scanLayer(row interface{ Scan(...any) error }) (layer fleet.Layer, err error) {
	var selector string
	var config []byte
	var at int64
	if err := row.Scan(&layer.Name, &selector, &layer.Priority, &config, &layer.Revision, &layer.By, &at); err != nil {
		return fleet.Layer{}, err
	}
	layer.At = instant(at)
	if layer.Selector, err = parseSelector(selector); err != nil {
		return fleet.Layer{}, err
	}
	if layer.Config, err = fleet.LoadConfig(config); err != nil {
		return fleet.Layer{}, fmt.Errorf("%w: a layer: %w", ErrDamaged, err)
	}
	return layer, nil
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
func (s *Store) DeviceLayers(ctx context.Context, after string, limit int) (list []fleet.Layer, next string, err error) {
	last, err := cursor(after)
	if err != nil {
		return nil, "", err
	}
	if err := s.use(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.RUnlock()
	err = s.each(ctx, s.deviceLayers, []any{last, limit + 1}, func(rows *sql.Rows) error {
		var layer fleet.Layer
		var number, at int64
		var id, config []byte
		if err := rows.Scan(&number, &id, &config, &layer.Revision, &layer.By, &at); err != nil {
			return err
		}
		if len(list) == limit {
			next = strconv.FormatInt(last, 10)
			return nil
		}
		device, err := uuid.FromBytes(id)
		if err == nil {
			layer.Config, err = fleet.LoadConfig(config)
		}
		if err != nil {
			return fmt.Errorf("%w: a device's layer: %w", ErrDamaged, err)
		}
		layer.Name, layer.At = fleet.DeviceLayer(device), instant(at)
		list, last = append(list, layer), number
		return nil
	})
	if err != nil {
		return nil, "", s.fail("list the layers in", err)
	}
	return list, next, nil
}

// Change implements fleet.Store.
func (s *Store) Change(ctx context.Context, change fleet.Change) (fleet.Layer, error) {
	var kept fleet.Layer
	var told []fleet.Notice
	concerned := scope{layers: []fleet.LayerName{change.Name}}
	if change.Name.IsDevice() {
		concerned = ofDevice(change.Name.Device())
	}
	err := s.change(ctx, "keep a layer in", concerned, func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		present, row, err := s.present(ctx, conn, change.Name)
		if err != nil {
			return err
		}
		there := present.Revision > 0
		if change.Match != nil && *change.Match != present.Revision {
			return &fleet.StaleError{Revision: present.Revision}
		}
		if change.Remove && !there {
			return fleet.ErrUnknownLayer
		}
		same := present.Config.Equal(change.Config) && present.Selector.String() == change.Selector.String() &&
			present.Priority == change.Priority
		if there && same && !change.Remove {
			kept = present
			return nil
		}
		entry := fleet.Entry{Authorship: change.Authorship, Layer: change.Name, Action: fleet.Set, Restores: change.Restores,
			Selector: change.Selector, Priority: change.Priority, After: &change.Config}
		if there {
			entry.Before = &present.Config
		}
		if change.Remove {
			entry.Action, entry.After, entry.Selector, entry.Priority = fleet.Removed, nil, present.Selector, present.Priority
		}
		revision, err := s.record(ctx, conn, entry)
		if err != nil {
			return err
		}
		kept = change.Layer
		kept.Revision, kept.Selector, kept.Priority = revision, entry.Selector, entry.Priority
		kept.At = instant(seconds(kept.At))
		if change.Name.IsDevice() {
			told = changed(change.Name.Device())
			return keepDeviceLayer(ctx, conn, row, kept, change.Remove)
		}
		told = []fleet.Notice{{Kind: fleet.TargetChanged, Layer: change.Name, Revision: revision}}
		return keepLayer(ctx, conn, kept, present.Selector, there, change.Remove)
	}, func() []fleet.Notice { return told })
	if err != nil {
		return fleet.Layer{}, err
	}
	return kept, nil
}

// present returns a layer as it is in the transaction, of revision 0 where there is none, and the row of its device.
func (s *Store) present(ctx context.Context, conn *sql.Conn, name fleet.LayerName) (fleet.Layer, int64, error) {
	if name.IsDevice() {
		id := name.Device()
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		if err != nil || device.Own == nil {
			return fleet.Layer{}, row, unknown(err)
		}
		return *device.Own, row, nil
	}
	layer, err := scanLayer(conn.QueryRowContext(ctx, selectLayer+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Layer{}, 0, nil
	}
	return layer, 0, err
}

func keepDeviceLayer(ctx context.Context, conn *sql.Conn, row int64, layer fleet.Layer, remove bool) error {
	var err error
	if remove {
		_, err = conn.ExecContext(ctx, "DELETE FROM device_layers WHERE device = ?", row)
	} else {
		_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO device_layers (device, config, revision, author, at)"+
			" VALUES (?, ?, ?, ?, ?)", row, []byte(layer.Config.String()), layer.Revision, layer.By, seconds(layer.At))
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "UPDATE standings SET own = ? WHERE device = ?", layer.Revision, row)
	}
	return err
}

func keepLayer(ctx context.Context, conn *sql.Conn, layer fleet.Layer, before fleet.Selector, there, remove bool) error {
	var err error
	if remove {
		_, err = conn.ExecContext(ctx, "DELETE FROM layers WHERE name = ?", layer.Name)
	} else {
		_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO layers (name, selector, priority, config, revision, author, at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?)", layer.Name, layer.Selector.String(), layer.Priority,
			[]byte(layer.Config.String()), layer.Revision, layer.By, seconds(layer.At))
	}
	concerned := []fleet.Selector{layer.Selector}
	if there {
		concerned = append(concerned, before)
	}
	for _, selector := range concerned {
		if err == nil {
			_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO concerns (selector, revision) VALUES (?, ?)",
				selector.String(), layer.Revision)
		}
	}
	return err
}

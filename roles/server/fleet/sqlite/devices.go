package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// oneDevice selects a whole device. A condition follows.
const oneDevice = "SELECT " + rows.DeviceColumns + fromDevices

// someDevices selects devices without large values. A condition may follow, and then orderDevices.
const (
	someDevices  = "SELECT " + rows.BriefColumns + fromDevices + " WHERE d.id > ?"
	withConfigs  = "SELECT " + rows.ConfigColumns + fromDevices + " WHERE d.id > ?"
	orderDevices = " ORDER BY d.id LIMIT ?"
)

const fromDevices = " FROM devices d JOIN standings s ON s.device = d.id JOIN label_sets l ON l.id = s.label_set" +
	" JOIN reports r ON r.device = d.id LEFT JOIN device_layers o ON o.device = d.id"

// scan reads a device's row, and its ID in the table.
func scan(from interface{ Scan(...any) error }) (fleet.Device, int64, error) {
	var row rows.Device
	if err := from.Scan(row.Into()...); err != nil {
		return fleet.Device{}, 0, err
	}
	device, err := row.Device()
	return device, row.ID, damaged(err)
}

// damaged wraps an error about the content of a row in ErrDamaged.
func damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Device implements fleet.Store.
func (s *Store) Device(ctx context.Context, id uuid.UUID) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	device, err := s.recentDevices.get(id, func() (fleet.Device, error) { return find(ctx, s.device, id[:]) })
	if err != nil {
		return fleet.Device{}, s.fail("read a device from", err)
	}
	// The caches of others share the map.
	device.Labels = maps.Clone(device.Labels)
	if device.Own != nil {
		own := *device.Own
		device.Own = &own
	}
	return device, nil
}

// DevicesByID implements fleet.Store.
func (s *Store) DevicesByID(ctx context.Context, ids []uuid.UUID) (list []fleet.Device, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	for _, id := range ids {
		device, err := find(ctx, s.device, id[:])
		switch {
		case errors.Is(err, fleet.ErrUnknownDevice):
			continue
		case err == nil:
			err = ctx.Err()
		}
		if err != nil {
			return nil, s.fail("read devices from", err)
		}
		list = append(list, device)
	}
	return list, nil
}

// DeviceByKey implements fleet.Store.
func (s *Store) DeviceByKey(ctx context.Context, keyID string) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	device, err := find(ctx, s.byKeyID, keyID)
	if errors.Is(err, fleet.ErrUnknownDevice) {
		if revoked := allowed(ctx, s.read, keyID); revoked != nil {
			err = revoked
		}
	}
	return device, s.fail("read a device from", err)
}

// find reads a device. It does not watch the context during the read, because that would need a goroutine, which costs
// more than the read.
func find(ctx context.Context, statement *sql.Stmt, by any) (fleet.Device, error) {
	device, _, err := scan(statement.QueryRowContext(context.WithoutCancel(ctx), by))
	return device, unknown(err)
}

func unknown(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.ErrUnknownDevice
	}
	return err
}

// Devices implements fleet.Store. The cursor is the ID of the last row.
func (s *Store) Devices(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, s.devices, after, limit)
}

// Mute implements fleet.Store.
func (s *Store) Mute(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, s.mute, after, limit)
}

// Configs implements fleet.Store.
func (s *Store) Configs(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, s.configs, after, limit)
}

func (s *Store) list(
	ctx context.Context, query *sql.Stmt, after string, limit int,
) (list []fleet.Device, next string, err error) {
	page, err := rows.NewPage[fleet.Device](after, limit)
	if err != nil {
		return nil, "", err
	}
	if err := s.use(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.RUnlock()
	err = s.each(ctx, query, []any{page.After, page.Limit()}, func(row *sql.Rows) error {
		device, id, err := scan(row)
		if err == nil {
			page.Add(id, device)
		}
		return err
	})
	if err != nil {
		return nil, "", s.fail("list the devices in", err)
	}
	return page.List, page.Next, nil
}

// Count implements fleet.Store.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	return n, s.fail("count the devices in", s.count.QueryRowContext(ctx).Scan(&n))
}

// Newest implements fleet.Timekeeper.
func (s *Store) Newest(ctx context.Context) (time.Time, error) {
	if err := s.use(ctx); err != nil {
		return time.Time{}, err
	}
	defer s.mu.RUnlock()
	var newest int64
	err := s.read.QueryRowContext(ctx, "SELECT coalesce(max(last_seen), 0) FROM standings").Scan(&newest)
	return rows.Time(newest), s.fail("read the newest time in", err)
}

// Settle implements fleet.Timekeeper.
func (s *Store) Settle(ctx context.Context, now time.Time) error {
	return s.change(ctx, "correct times in", scope{}, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "UPDATE standings SET last_seen = min(last_seen, ?1), "+
			"twins = min(twins, ?1), alone = min(alone, ?1) WHERE max(last_seen, twins, alone) > ?1; "+
			"DELETE FROM stats WHERE at > ?1; DELETE FROM samples WHERE at > ?1", rows.Seconds(now))
		return err
	}, nil)
}

// labelSet returns the number of a set of labels. Only the writer calls it.
func (s *Store) labelSet(ctx context.Context, labels fleet.Labels) (number int64, err error) {
	text := labels.String()
	if number, known := s.writer.labels[text]; known {
		return number, nil
	}
	err = s.writer.labelSet.QueryRowContext(ctx, text).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		var result sql.Result
		if result, err = s.writer.addLabelSet.ExecContext(ctx, text); err == nil {
			number, err = result.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	if len(s.writer.labels) >= mostRecent {
		clear(s.writer.labels)
	}
	s.writer.labels[text] = number
	return number, nil
}

// changed returns the notice of a changed device.
func changed(id uuid.UUID) []fleet.Notice {
	return []fleet.Notice{{Kind: fleet.DevicesChanged, Devices: []uuid.UUID{id}}}
}

// SetLabels implements fleet.Store.
func (s *Store) SetLabels(
	ctx context.Context, id uuid.UUID, before, after fleet.Labels, by fleet.Authorship,
) (revision int64, err error) {
	return s.alter(ctx, "store labels in", id, func(ctx context.Context, conn *sql.Conn, device fleet.Device, row int64) (int64, error) {
		switch {
		case !device.Labels.Equal(before):
			return 0, fleet.ErrStale
		case before.Equal(after):
			return 0, nil
		}
		drawn, _, err := nextRevision(ctx, conn)
		if err != nil {
			return 0, err
		}
		err = record(ctx, conn, fleet.Entry{Revision: drawn, Authorship: by, Layer: fleet.DeviceLayer(id),
			Action: fleet.Relabeled, Labels: after})
		if err != nil {
			return 0, err
		}
		labels, err := s.labelSet(ctx, after)
		if err != nil {
			return 0, err
		}
		_, err = conn.ExecContext(ctx, "UPDATE standings SET label_set = ?, own_revision = ? WHERE device = ?", labels, drawn, row)
		return drawn, err
	})
}

// SetName implements fleet.Store.
func (s *Store) SetName(ctx context.Context, id uuid.UUID, name string, by fleet.Authorship) (revision int64, err error) {
	return s.alter(ctx, "store a device's name in", id, func(ctx context.Context, conn *sql.Conn, device fleet.Device, row int64) (int64, error) {
		if device.Name == name {
			return 0, nil
		}
		var others int
		if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE name = ?", name).Scan(&others); err != nil {
			return 0, err
		}
		if others > 0 {
			return 0, fleet.ErrNameTaken
		}
		drawn, _, err := nextRevision(ctx, conn)
		if err != nil {
			return 0, err
		}
		err = record(ctx, conn, fleet.Entry{Revision: drawn, Authorship: by, Layer: fleet.DeviceLayer(id), Action: fleet.Renamed, Name: name})
		if err != nil {
			return 0, err
		}
		_, err = conn.ExecContext(ctx, "UPDATE devices SET name = ? WHERE id = ?", rows.NullIfEmpty(name), row)
		return drawn, err
	})
}

// alter changes a device with the revision that do has drawn, and sends a notice. For revision 0 nothing has changed.
func (s *Store) alter(ctx context.Context, act string, id uuid.UUID,
	do func(ctx context.Context, conn *sql.Conn, device fleet.Device, row int64) (revision int64, err error),
) (int64, error) {
	var drawn int64
	err := s.change(ctx, act, ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		if err != nil {
			return unknown(err)
		}
		drawn, err = do(ctx, conn, device, row)
		return err
	}, func() []fleet.Notice {
		if drawn == 0 {
			return nil
		}
		return changed(id)
	})
	if err != nil {
		return 0, err
	}
	return drawn, nil
}

// Named implements fleet.Store.
func (s *Store) Named(ctx context.Context, name string) (id uuid.UUID, err error) {
	if err := s.use(ctx); err != nil {
		return uuid.Nil, err
	}
	defer s.mu.RUnlock()
	return id, s.fail("find a device in", unknown(s.named.QueryRowContext(ctx, name).Scan(&id)))
}

// IDs implements fleet.Store.
func (s *Store) IDs(ctx context.Context, first, last uuid.UUID, limit int) (list []uuid.UUID, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	err = s.each(ctx, s.ids, []any{first[:], last[:], limit}, func(row *sql.Rows) error {
		var id uuid.UUID
		err := row.Scan(&id)
		list = append(list, id)
		return err
	})
	if err != nil {
		return nil, s.fail("find devices in", err)
	}
	return list, nil
}

// SetStatus implements fleet.Store.
func (s *Store) SetStatus(ctx context.Context, id uuid.UUID, status fleet.Status, within fleet.Scope) error {
	return s.stand(ctx, "store a device's status in", id, within, "UPDATE standings SET status = ?1 WHERE device = ?2 AND status <> ?1", status)
}

// stand changes the standing of a device within a scope. The statement has the value and the number of the device as
// arguments.
func (s *Store) stand(ctx context.Context, act string, id uuid.UUID, within fleet.Scope, statement string, value any) error {
	return s.change(ctx, act, ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		if err != nil {
			return unknown(err)
		}
		if err := within.Device(device.Labels); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, statement, value, row)
		return err
	}, func() []fleet.Notice { return changed(id) })
}

// SetAlone implements fleet.Store.
func (s *Store) SetAlone(ctx context.Context, id uuid.UUID, at time.Time, within fleet.Scope) error {
	return s.stand(ctx, "store a device's mark in", id, within, "UPDATE standings SET alone = max(alone, ?1) WHERE device = ?2", rows.Seconds(at))
}

// one returns none for a statement that has changed no row.
func one(result sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}

// SetKey implements fleet.Store.
func (s *Store) SetKey(ctx context.Context, id uuid.UUID, before, publicKey, newID string) error {
	return s.change(ctx, "store a device's key in", ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		switch {
		case err != nil:
			return unknown(err)
		case device.KeyID != before:
			return fleet.ErrStale
		}
		digest := rows.Digest(publicKey)
		var others int
		err = conn.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE id <> ? AND (key_digest = ? OR key_id = ?)",
			row, digest, rows.NullIfEmpty(newID)).Scan(&others)
		if err != nil {
			return err
		}
		if others > 0 {
			return fleet.ErrExists
		}
		if err := allowed(ctx, conn, newID); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, "UPDATE devices SET public_key_rsa = ?, key_digest = ?, key_id = ? WHERE id = ?",
			publicKey, digest, rows.NullIfEmpty(newID), row)
		return err
	}, func() []fleet.Notice { return changed(id) })
}

// Remove implements fleet.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, by fleet.Authorship) error {
	return s.change(ctx, "remove a device from", ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		if err != nil {
			return unknown(err)
		}
		if device.Own != nil {
			revision, _, err := nextRevision(ctx, conn)
			if err != nil {
				return err
			}
			err = record(ctx, conn, fleet.Entry{Revision: revision, Authorship: by, Layer: device.Own.Name,
				Action: fleet.Removed, Before: &device.Own.Config})
			if err != nil {
				return err
			}
		}
		if device.Status == fleet.Revoked {
			if err := keepRevoked(ctx, conn, device, by.At); err != nil {
				return err
			}
		}
		_, err = conn.ExecContext(ctx, "DELETE FROM devices WHERE id = ?", row) // and what refers to it
		return err
	}, func() []fleet.Notice { return changed(id) })
}

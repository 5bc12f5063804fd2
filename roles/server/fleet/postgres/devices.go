package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A read is a device to read.
type read struct {
	id     uuid.UUID
	device fleet.Device
}

// Device implements fleet.Store. Concurrent calls share a query.
func (s *Store) Device(ctx context.Context, id uuid.UUID) (device fleet.Device, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		got, err := s.reads.Run(ctx, read{id: id})
		device = got.device
		return err
	})
	return device, err
}

func (s *Store) readAll(ctx context.Context, batch []*group.Job[read]) error {
	ctx, cancel := s.within(ctx, inTime)
	defer cancel()
	ids := make([]uuid.UUID, len(batch))
	for i, work := range batch {
		ids[i] = work.Want.id
	}
	found, err := s.pool().Query(ctx, "SELECT "+rows.DeviceColumns+devicesFrom+" WHERE d.uuid = ANY($1)", ids)
	if err != nil {
		return err
	}
	known := make(map[uuid.UUID]fleet.Device, len(batch))
	if err := eachDevice(found, func(_ int64, device fleet.Device) { known[device.ID] = device }); err != nil {
		return err
	}
	for _, work := range batch {
		device, there := known[work.Want.id]
		if work.Want.device = device; !there {
			work.Err = fleet.ErrUnknownDevice
		}
	}
	return nil
}

// DevicesByID implements fleet.Store.
func (s *Store) DevicesByID(ctx context.Context, ids []uuid.UUID) (list []fleet.Device, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+rows.DeviceColumns+devicesFrom+" WHERE d.uuid = ANY($1)", ids)
		if err != nil {
			return err
		}
		return eachDevice(found, func(_ int64, device fleet.Device) { list = append(list, device) })
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// DeviceByKey implements fleet.Store.
func (s *Store) DeviceByKey(ctx context.Context, keyID string) (device fleet.Device, err error) {
	if keyID == "" {
		return fleet.Device{}, s.call(ctx, func(context.Context) error { return fleet.ErrUnknownDevice })
	}
	err = s.call(ctx, func(ctx context.Context) error {
		device, err = s.one(ctx, "d.key_id = $1", keyID)
		if errors.Is(err, fleet.ErrUnknownDevice) {
			if revoked := allowed(ctx, s.pool(), keyID); revoked != nil {
				err = revoked
			}
		}
		return err
	})
	return device, err
}

// one reads the device for a condition.
func (s *Store) one(ctx context.Context, condition string, argument any) (device fleet.Device, err error) {
	found, err := s.pool().Query(ctx, "SELECT "+rows.DeviceColumns+devicesFrom+" WHERE "+condition, argument)
	if err != nil {
		return fleet.Device{}, err
	}
	err = fleet.ErrUnknownDevice
	failed := eachDevice(found, func(_ int64, one fleet.Device) { device, err = one, nil })
	if failed != nil {
		return fleet.Device{}, failed
	}
	return device, err
}

// Devices implements fleet.Store. The cursor is the ID of the last row.
func (s *Store) Devices(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, rows.BriefColumns, "", after, limit)
}

// Mute implements fleet.Store.
func (s *Store) Mute(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, rows.BriefColumns, " AND "+rows.IsMute, after, limit)
}

// Configs implements fleet.Store.
func (s *Store) Configs(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, rows.ConfigColumns, "", after, limit)
}

// list returns columns of devices, with a further condition.
func (s *Store) list(
	ctx context.Context, columns, condition, after string, limit int,
) (list []fleet.Device, next string, err error) {
	page, err := rows.NewPage[fleet.Device](after, limit)
	if err != nil {
		return nil, "", err
	}
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+columns+devicesFrom+
			" WHERE d.id > $1"+condition+" ORDER BY d.id LIMIT $2", page.After, page.Limit())
		if err != nil {
			return err
		}
		return eachDevice(found, page.Add)
	})
	if err != nil {
		return nil, "", err
	}
	return page.List, page.Next, nil
}

// Count implements fleet.Store.
func (s *Store) Count(ctx context.Context) (count int, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT count(*) FROM devices").Scan(&count)
	})
	return count, err
}

// Newest implements fleet.Timekeeper.
func (s *Store) Newest(ctx context.Context) (time.Time, error) {
	var newest int64
	err := s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT coalesce(max(last_seen), 0) FROM standings").Scan(&newest)
	})
	return rows.Time(newest), err
}

// Settle implements fleet.Timekeeper.
func (s *Store) Settle(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		_, err := tx.Exec(ctx, `UPDATE standings SET last_seen = least(last_seen, $1), twins = least(twins, $1),
			alone = least(alone, $1) WHERE greatest(last_seen, twins, alone) > $1`, rows.Seconds(now))
		if err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM stats WHERE at > $1", rows.Seconds(now))
		}
		if err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM samples WHERE at > $1", rows.Seconds(now))
		}
		return nil, err
	})
}

// Time implements fleet.Timed.
func (s *Store) Time(ctx context.Context) (now time.Time, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now)
	})
	return now, err
}

// Standings implements fleet.Store.
func (s *Store) Standings(ctx context.Context, silent time.Time, cloned time.Duration) (list []fleet.Standing, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+fmt.Sprintf(rows.StandingColumns, "labels", "$1", "$2")+
			" FROM devices d JOIN standings s ON s.device = d.id GROUP BY 1, 2, 3, 4, 5, 6", rows.Seconds(silent), int64(cloned/time.Second))
		if err != nil {
			return err
		}
		list = nil
		var group rows.Standing
		var text string
		_, err = pgx.ForEachRow(found, group.Into(&text), func() error {
			labels, err := fleet.LoadLabels(text)
			list = append(list, group.Group(labels))
			return err
		})
		return err
	})
	return list, err
}

// SetLabels implements fleet.Store.
func (s *Store) SetLabels(ctx context.Context, id uuid.UUID, before, after fleet.Labels, by fleet.Authorship) (revision int64, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		next, _, err := nextRevision(ctx, tx)
		if err != nil {
			return nil, err
		}
		var row int64
		var present string
		err = tx.QueryRow(ctx, "SELECT id, labels FROM devices WHERE uuid = $1 FOR UPDATE", id).Scan(&row, &present)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, fleet.ErrUnknownDevice
		case err != nil:
			return nil, err
		case present != before.String():
			return nil, fleet.ErrStale
		case before.Equal(after):
			revision = 0
			return nil, nil
		}
		revision = next
		var batch pgx.Batch
		draw(&batch, revision)
		batch.Queue("UPDATE devices SET labels = $2, own_revision = $3 WHERE id = $1", row, after.String(), revision)
		remember(ctx, &batch, fleet.Entry{Revision: revision, Authorship: by, Layer: fleet.DeviceLayer(id), Action: fleet.Relabeled,
			Labels: after})
		return changed(id), tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// changed returns the notice of a changed device.
func changed(id uuid.UUID) []fleet.Notice {
	return []fleet.Notice{{Kind: fleet.DevicesChanged, Devices: []uuid.UUID{id}}}
}

// SetName implements fleet.Store.
func (s *Store) SetName(ctx context.Context, id uuid.UUID, name string, by fleet.Authorship) (revision int64, err error) {
	err = s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		last, err := lock(ctx, tx)
		if err != nil {
			return nil, err
		}
		var row int64
		var present string
		var taken bool
		err = tx.QueryRow(ctx, `SELECT id, coalesce(name, ''), EXISTS (SELECT 1 FROM devices WHERE name = $2)
			FROM devices WHERE uuid = $1 FOR UPDATE`, id, name).Scan(&row, &present, &taken)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, fleet.ErrUnknownDevice
		case err != nil:
			return nil, err
		case present == name:
			revision = 0
			return nil, nil
		case taken: // nobody else can rename a device while the counter is locked
			return nil, fleet.ErrNameTaken
		}
		revision = last + 1
		var batch pgx.Batch
		draw(&batch, revision)
		batch.Queue("UPDATE devices SET name = $2 WHERE id = $1", row, rows.NullIfEmpty(name))
		remember(ctx, &batch, fleet.Entry{Revision: revision, Authorship: by, Layer: fleet.DeviceLayer(id), Action: fleet.Renamed, Name: name})
		return changed(id), tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// Named implements fleet.Store.
func (s *Store) Named(ctx context.Context, name string) (id uuid.UUID, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		err := s.pool().QueryRow(ctx, "SELECT uuid FROM devices WHERE name = $1", name).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fleet.ErrUnknownDevice
		}
		return err
	})
	return id, err
}

// IDs implements fleet.Store.
func (s *Store) IDs(ctx context.Context, first, last uuid.UUID, limit int) (list []uuid.UUID, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT uuid FROM devices WHERE uuid BETWEEN $1 AND $2 ORDER BY uuid LIMIT $3", first, last, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(found, pgx.RowTo[uuid.UUID])
		return err
	})
	return list, err
}

// SetStatus implements fleet.Store.
func (s *Store) SetStatus(ctx context.Context, id uuid.UUID, status fleet.Status, within fleet.Scope) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		row, labels, err := lockDevice(ctx, tx, id)
		if err == nil {
			err = within.Device(labels)
		}
		if err != nil {
			return nil, err
		}
		done, err := tx.Exec(ctx, "UPDATE devices SET status = $2 WHERE id = $1 AND status <> $2", row, int16(status))
		if err != nil || done.RowsAffected() == 0 {
			return nil, err
		}
		return changed(id), nil
	})
}

// SetAlone implements fleet.Store.
func (s *Store) SetAlone(ctx context.Context, id uuid.UUID, at time.Time, within fleet.Scope) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		row, labels, err := lockDevice(ctx, tx, id)
		if err == nil {
			err = within.Device(labels)
		}
		if err == nil {
			_, err = tx.Exec(ctx, "UPDATE standings SET alone = greatest(alone, $2) WHERE device = $1", row, rows.Seconds(at))
		}
		return changed(id), err
	})
}

// SetKey implements fleet.Store.
func (s *Store) SetKey(ctx context.Context, id uuid.UUID, before, publicKey, keyID string) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		var present string
		err := tx.QueryRow(ctx, "SELECT coalesce(key_id, '') FROM devices WHERE uuid = $1 FOR UPDATE", id).Scan(&present)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, fleet.ErrUnknownDevice
		case err != nil:
			return nil, err
		case present != before:
			return nil, fleet.ErrStale
		}
		if err := allowed(ctx, tx, keyID); err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, "UPDATE devices SET public_key_rsa = $2, key_digest = $3, key_id = $4 WHERE uuid = $1",
			id, rows.Text(publicKey), rows.Digest(publicKey), rows.NullIfEmpty(keyID))
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == uniqueViolation {
			err = fleet.ErrExists
		}
		return changed(id), err
	})
}

// Remove implements fleet.Store.
func (s *Store) Remove(ctx context.Context, id uuid.UUID, by fleet.Authorship) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) ([]fleet.Notice, error) {
		last, err := lock(ctx, tx)
		if err != nil {
			return nil, err
		}
		var row int64
		var status int16
		var keyID string
		var key rows.Text
		err = tx.QueryRow(ctx, "SELECT id, status, coalesce(key_id, ''), public_key_rsa FROM devices WHERE uuid = $1 FOR UPDATE", id).
			Scan(&row, &status, &keyID, &key)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, fleet.ErrUnknownDevice
		case err != nil:
			return nil, err
		}
		if fleet.Status(status) == fleet.Revoked {
			if err := keepRevoked(ctx, tx, id, cmp.Or(keyID, fleet.KeyID(string(key))), by.At); err != nil {
				return nil, err
			}
		}
		layer, err := present(ctx, tx, fleet.DeviceLayer(id))
		if err != nil {
			return nil, err
		}
		var batch pgx.Batch
		if layer.Revision > 0 {
			draw(&batch, last+1)
			remember(ctx, &batch, fleet.Entry{Revision: last + 1, Authorship: by, Layer: layer.Name, Action: fleet.Removed,
				Before: &layer.Config})
		}
		// standings first: a transaction that changes several of these tables locks that row before the others.
		for _, table := range []string{"standings", "reports", "stats", "layers"} {
			batch.Queue("DELETE FROM "+table+" WHERE device = $1", row)
		}
		batch.Queue("DELETE FROM devices WHERE id = $1", row)
		return changed(id), tx.SendBatch(ctx, &batch).Close()
	})
}

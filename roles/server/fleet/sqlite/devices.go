package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// digestOf stands for a text: the first half of its SHA-256.
func digestOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:16]
}

// oneDevice selects a whole device; a condition follows.
const oneDevice = "SELECT d.id, d.uuid, d.registered, d.ip_address, d.arch, d.key_id," +
	" s.status, l.text, s.own, s.state, s.revision, s.seen, s.twins, s.alone," +
	" r.changed, r.sequence, r.instance, r.running, r.running_hash, r.attempted, r.outcome, r.path, r.reason, r.attempted_at," +
	" o.config, o.revision, o.author, o.at," +
	" d.public_key_rsa, r.config FROM devices d" + joined

// someDevices selects devices without what is large; a condition may follow, and then orderDevices.
const someDevices = "SELECT d.id, d.uuid, d.registered, d.ip_address, d.arch, d.key_id," +
	" s.status, l.text, s.own, s.state, s.revision, s.seen, s.twins, s.alone," +
	" r.changed, r.sequence, r.instance, r.running, r.running_hash, r.attempted, r.outcome, r.path, r.reason, r.attempted_at," +
	" o.config, o.revision, o.author, o.at," +
	" '', iif(s.says, CAST('{}' AS BLOB), r.config) FROM devices d" + joined + " WHERE d.id > ?"

const (
	isMute       = " AND s.says = 0 AND s.state <> 0"
	orderDevices = " ORDER BY d.id LIMIT ?"
)

const joined = " JOIN standings s ON s.device = d.id JOIN label_sets l ON l.id = s.labels" +
	" JOIN reports r ON r.device = d.id LEFT JOIN device_layers o ON o.device = d.id"

// scan reads a device's row, and the number of it.
func scan(row interface{ Scan(...any) error }) (device fleet.Device, number int64, err error) {
	var id, config, own []byte
	var registered, seen, twins, alone, changed int64
	var labels string
	var key, author sql.NullString
	var revision, at sql.NullInt64
	err = row.Scan(&number, &id, &registered, &device.IPAddress, &device.Arch, &key,
		&device.Status, &labels, &device.OwnRevision, &device.Verdict.State, &device.Verdict.Revision, &seen, &twins, &alone,
		&changed, &device.Sequence, &device.Instance, &device.Running.Revision, &device.Running.Hash, &device.Attempted.Revision,
		&device.Attempted.Outcome, &device.Attempted.Path, &device.Attempted.Reason, &device.Attempted.At,
		&own, &revision, &author, &at, &device.PublicKeyRSA, &config)
	if err != nil {
		return fleet.Device{}, 0, err
	}
	damaged := func(what string, err error) (fleet.Device, int64, error) {
		return fleet.Device{}, 0, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	if device.ID, err = uuid.FromBytes(id); err != nil {
		return damaged("a device's UUID", err)
	}
	if device.Config, err = fleet.LoadConfig(config); err != nil {
		return damaged("a report", err)
	}
	if device.Labels, err = fleet.LoadLabels(labels); err != nil {
		return damaged("a device's labels", err)
	}
	if own != nil {
		config, err := fleet.LoadConfig(own)
		if err != nil {
			return damaged("a device's layer", err)
		}
		device.Own = &fleet.Layer{Name: fleet.DeviceLayer(device.ID), Config: config, Revision: revision.Int64,
			Authorship: fleet.Authorship{By: author.String, At: instant(at.Int64)}}
	}
	device.KeyID = key.String
	device.Registered, device.LastSeen, device.Report.At = instant(registered), instant(seen), instant(changed)
	device.Twins, device.Alone = instant(twins), instant(alone)
	return device, number, nil
}

// instant reads a time; 0 is none.
func instant(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// seconds is what a time is kept as.
func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
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
	// What it refers to is everybody's.
	device.Labels = maps.Clone(device.Labels)
	if device.Own != nil {
		own := *device.Own
		device.Own = &own
	}
	return device, nil
}

// DeviceByKey implements fleet.Store.
func (s *Store) DeviceByKey(ctx context.Context, keyID string) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	device, err := find(ctx, s.byKeyID, keyID)
	return device, s.fail("read a device from", err)
}

// find reads a device. Once begun it does not watch the context: that would take a goroutine, which costs more than the
// look-up.
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

// Devices implements fleet.Store. The cursor is the number of the last row.
func (s *Store) Devices(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, s.devices, after, limit)
}

// Mute implements fleet.Store.
func (s *Store) Mute(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	return s.list(ctx, s.mute, after, limit)
}

func (s *Store) list(
	ctx context.Context, query *sql.Stmt, after string, limit int,
) (list []fleet.Device, next string, err error) {
	last, err := cursor(after)
	if err != nil {
		return nil, "", err
	}
	if err := s.use(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.RUnlock()
	// One more tells whether there are more.
	err = s.each(ctx, query, []any{last, limit + 1}, func(rows *sql.Rows) error {
		device, number, err := scan(rows)
		if err != nil {
			return err
		}
		if len(list) == limit {
			next = strconv.FormatInt(last, 10)
			return nil
		}
		list, last = append(list, device), number
		return nil
	})
	if err != nil {
		return nil, "", s.fail("list the devices in", err)
	}
	return list, next, nil
}

// cursor reads the number of a row. What is no cursor of ours has nothing behind it that could be told.
func cursor(after string) (int64, error) {
	if after == "" {
		return 0, nil
	}
	last, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return 0, fleet.ErrBadCursor
	}
	return last, nil
}

// Count implements fleet.Store.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	return n, s.fail("count the devices in", s.count.QueryRowContext(ctx).Scan(&n))
}

// Add implements fleet.Store.
func (s *Store) Add(ctx context.Context, device fleet.Device, mostPending int) (fleet.Device, error) {
	device.LastSeen = device.Registered
	kept := device
	added := false
	digest := keyDigest(device.PublicKeyRSA) // not in the writer's time
	err := s.change(ctx, "keep a device in", ofDevice(device.ID), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		var known []byte
		switch err := s.writer.byKey.QueryRowContext(ctx, digest).Scan(&known); {
		case err == nil:
			kept, err = find(ctx, s.writer.device, known)
			return err
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if device.Status == fleet.Pending && mostPending > 0 {
			if err := pendingRoom(ctx, conn, mostPending); err != nil {
				return err
			}
		}
		labels, err := s.labelSet(ctx, device.Labels)
		if err != nil {
			return err
		}
		result, err := s.writer.addDevice.ExecContext(ctx, device.ID[:], device.Registered.Unix(), device.IPAddress,
			device.PublicKeyRSA, device.Arch, digest, keyID(device.KeyID))
		var refused *sqlite.Error
		if errors.As(err, &refused) && refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			return fleet.ErrExists
		}
		if err != nil {
			return err
		}
		row, err := result.LastInsertId()
		if err != nil {
			return err
		}
		if _, err = s.writer.addReport.ExecContext(ctx, row); err != nil {
			return err
		}
		_, err = s.writer.addStanding.ExecContext(ctx, row, device.Status, labels, device.Registered.Unix())
		added = err == nil
		return err
	}, func() []fleet.Notice {
		if !added {
			return nil
		}
		return changed(device.ID)
	})
	if err != nil {
		return fleet.Device{}, err // the writer may still be at it, and use kept
	}
	return kept, nil
}

// pendingRoom tells whether one more device may wait for approval. It is called by the writer.
func pendingRoom(ctx context.Context, conn *sql.Conn, most int) error {
	var waiting int
	err := conn.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM standings WHERE status = 1 LIMIT ?)", most).Scan(&waiting)
	if err == nil && waiting >= most {
		err = fleet.ErrPendingFull
	}
	return err
}

// labelSet returns the number of a set of labels. It is called by the writer.
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

// changed is the notice about a device.
func changed(id uuid.UUID) []fleet.Notice {
	return []fleet.Notice{{Kind: fleet.DevicesChanged, Devices: []uuid.UUID{id}}}
}

// SetLabels implements fleet.Store.
func (s *Store) SetLabels(
	ctx context.Context, id uuid.UUID, before, after fleet.Labels, by fleet.Authorship,
) (revision int64, err error) {
	var drawn int64
	err = s.change(ctx, "keep labels in", ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		switch {
		case err != nil:
			return unknown(err)
		case !device.Labels.Equal(before):
			return fleet.ErrStale
		case before.Equal(after):
			return nil
		}
		entry := fleet.Entry{Authorship: by, Layer: fleet.DeviceLayer(id), Action: fleet.Relabeled, Labels: after}
		if drawn, err = s.record(ctx, conn, entry); err != nil {
			return err
		}
		labels, err := s.labelSet(ctx, after)
		if err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, "UPDATE standings SET labels = ?, own = ? WHERE device = ?", labels, drawn, row)
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

// SetStatus implements fleet.Store.
func (s *Store) SetStatus(ctx context.Context, id uuid.UUID, status fleet.Status) error {
	return s.change(ctx, "keep a device's status in", ofDevice(id), func(conn *sql.Conn) error {
		result, err := conn.ExecContext(context.WithoutCancel(ctx),
			"UPDATE standings SET status = ? WHERE device = (SELECT id FROM devices WHERE uuid = ?)", status, id[:])
		return one(result, err, fleet.ErrUnknownDevice)
	}, func() []fleet.Notice { return changed(id) })
}

// SetAlone implements fleet.Store.
func (s *Store) SetAlone(ctx context.Context, id uuid.UUID, at time.Time) error {
	return s.change(ctx, "keep a device's mark in", ofDevice(id), func(conn *sql.Conn) error {
		result, err := conn.ExecContext(context.WithoutCancel(ctx), "UPDATE standings SET alone = max(alone, ?)"+
			" WHERE device = (SELECT id FROM devices WHERE uuid = ?)", seconds(at), id[:])
		return one(result, err, fleet.ErrUnknownDevice)
	}, func() []fleet.Notice { return changed(id) })
}

// one refuses a statement that concerned no row.
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
	return s.change(ctx, "keep a device's key in", ofDevice(id), func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		device, row, err := scan(s.writer.device.QueryRowContext(ctx, id[:]))
		switch {
		case err != nil:
			return unknown(err)
		case device.KeyID != before:
			return fleet.ErrStale
		}
		digest := keyDigest(publicKey)
		var others int
		err = conn.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE id <> ? AND (key_digest = ? OR key_id = ?)",
			row, digest, keyID(newID)).Scan(&others)
		if err != nil {
			return err
		}
		if others > 0 {
			return fleet.ErrExists
		}
		_, err = conn.ExecContext(ctx, "UPDATE devices SET public_key_rsa = ?, key_digest = ?, key_id = ? WHERE id = ?",
			publicKey, digest, keyID(newID), row)
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
			entry := fleet.Entry{Authorship: by, Layer: device.Own.Name, Action: fleet.Removed, Before: &device.Own.Config}
			if _, err := s.record(ctx, conn, entry); err != nil {
				return err
			}
		}
		_, err = conn.ExecContext(ctx, "DELETE FROM devices WHERE id = ?", row) // and what refers to it
		return err
	}, func() []fleet.Notice { return changed(id) })
}

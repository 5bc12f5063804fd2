package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// addLinger is how long devices that register together are collected. A commit with many devices costs little for each:
// it consists mostly of pages of two indexes, in which UUIDs and digests have random places.
const addLinger = 3 * time.Millisecond

// An add is a device to store, and then the device that is stored.
type add struct {
	device      fleet.Device
	digest      []byte // of the device's key
	mostPending int    // 0 means any number
	added       bool
}

// Add implements fleet.Store. Devices that arrive together are written in one transaction.
func (s *Store) Add(ctx context.Context, device fleet.Device, mostPending int) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	device.LastSeen = device.Registered
	kept, err := s.adds.Run(ctx, add{device: device, digest: rows.Digest(device.PublicKeyRSA), mostPending: mostPending})
	if err != nil {
		return fleet.Device{}, s.fail("store a device in", err)
	}
	return kept.device, nil
}

// addAll is one job of the writer for a batch of devices. A refused device does not affect the others.
func (s *Store) addAll(ctx context.Context, batch []*group.Job[add]) error {
	ids := make([]uuid.UUID, len(batch))
	for i, work := range batch {
		ids[i] = work.Want.device.ID
	}
	return s.writer.do(ctx, job{scope: scope{devices: ids}, do: func(conn *sql.Conn) error {
		var all run
		for _, work := range batch {
			err := s.addOne(ctx, conn, &work.Want, &all)
			if err != nil && !rows.Refusal(err) {
				return err
			}
			work.Err = err
		}
		return s.endRun(ctx, &all)
	}, committed: func() []fleet.Notice {
		var added []uuid.UUID
		for _, work := range batch {
			if work.Want.added {
				added = append(added, work.Want.device.ID)
			}
		}
		if added == nil {
			return nil
		}
		return []fleet.Notice{{Kind: fleet.DevicesChanged, Devices: added}}
	}})
}

// A run has devices in successive rows with the same status and labels. Their rows in other tables are written
// together. The zero value is empty.
type run struct {
	first, last, labels int64
	status              fleet.Status
}

// addOne writes the row of a device. If the key is known, it returns the device with that key instead. all is the run
// of the previous rows, which the row joins or ends. Only the writer calls it.
func (s *Store) addOne(ctx context.Context, conn *sql.Conn, want *add, all *run) error {
	device := want.device
	if device.Status == fleet.Pending && want.mostPending > 0 {
		if err := s.endRun(ctx, all); err != nil { // pendingRoom counts standings
			return err
		}
		// A known device needs no room.
		kept, known, err := s.knownKey(ctx, want.digest)
		if err != nil || known {
			want.device = kept
			return err
		}
		if err := pendingRoom(ctx, conn, want.mostPending); err != nil {
			return err
		}
	}
	id, err := s.insertDevice(ctx, device, want.digest)
	if err != nil {
		return err
	}
	if id == 0 {
		if err := s.endRun(ctx, all); err != nil { // a device of the same batch is read with its standing
			return err
		}
		kept, known, err := s.knownKey(ctx, want.digest)
		if err == nil && !known {
			err = fleet.ErrRevoked // there is no other obstacle
		}
		want.device = kept
		return err
	}
	want.added = true
	labels, err := s.labelSet(ctx, device.Labels)
	if err != nil {
		return err
	}
	if id != all.last+1 || labels != all.labels || device.Status != all.status {
		if err := s.endRun(ctx, all); err != nil {
			return err
		}
		*all = run{first: id, labels: labels, status: device.Status}
	}
	all.last = id
	return nil
}

// endRun writes the rows of a run's devices in other tables, and empties the run. Only the writer calls it.
func (s *Store) endRun(ctx context.Context, all *run) error {
	if *all == (run{}) {
		return nil
	}
	if _, err := s.writer.addReports.ExecContext(ctx, all.first, all.last); err != nil {
		return err
	}
	_, err := s.writer.addStandings.ExecContext(ctx, all.status, all.labels, all.first, all.last)
	*all = run{}
	return err
}

// knownKey returns the first device with a digest, and whether there is one. Only the writer calls it.
func (s *Store) knownKey(ctx context.Context, digest []byte) (fleet.Device, bool, error) {
	var id []byte
	err := s.writer.byKey.QueryRowContext(ctx, digest).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Device{}, false, nil
	}
	if err != nil {
		return fleet.Device{}, false, err
	}
	device, err := find(ctx, s.writer.device, id)
	return device, err == nil, err
}

// insertDevice writes a row of devices and returns its ID. For a known or revoked key it writes nothing and returns 0.
// Only the writer calls it.
func (s *Store) insertDevice(ctx context.Context, device fleet.Device, digest []byte) (id int64, err error) {
	result, err := s.writer.addDevice.ExecContext(ctx, device.ID[:], device.Registered.Unix(), device.IPAddress,
		device.PublicKeyRSA, device.Arch, digest, rows.NullIfEmpty(device.KeyID), device.Names())
	var refused *sqlite.Error
	switch {
	case err == nil:
		return result.LastInsertId()
	case !errors.As(err, &refused):
	case refused.Code() == sqlite3.SQLITE_CONSTRAINT_NOTNULL:
		return 0, nil
	case refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return 0, fleet.ErrExists
	}
	return 0, err
}

// pendingRoom returns an error if no further device may wait for approval. Only the writer calls it.
func pendingRoom(ctx context.Context, conn *sql.Conn, most int) error {
	var waiting int
	err := conn.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM standings WHERE status = 1 LIMIT ?)", most).Scan(&waiting)
	if err == nil && waiting >= most {
		err = fleet.ErrPendingFull
	}
	return err
}

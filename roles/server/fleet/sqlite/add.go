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

// addLinger is for how long devices that register at the same time are collected. A commit of many costs each of them
// little: the pages of two indexes, in which a UUID and a digest have random places, are most of it.
const addLinger = 3 * time.Millisecond

// An add is one device to keep, and then the one that is kept.
type add struct {
	device      fleet.Device
	digest      []byte // of its key
	mostPending int    // 0 for any number
	added       bool
}

// Add implements fleet.Store. Devices that come at the same time are written together.
func (s *Store) Add(ctx context.Context, device fleet.Device, mostPending int) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	device.LastSeen = device.Registered
	kept, err := s.adds.Run(ctx, add{device: device, digest: rows.Digest(device.PublicKeyRSA), mostPending: mostPending})
	if err != nil {
		return fleet.Device{}, s.fail("keep a device in", err)
	}
	return kept.device, nil
}

// addAll is one job of the writer for a batch of devices. One that is refused does not concern the others.
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

// A run is devices in successive rows that have the same status and labels: what is beside a device in other tables is
// written for all of them at once. The zero value has none.
type run struct {
	first, last, labels int64
	status              fleet.Status
}

// addOne writes the row of a device, unless its key is known: then it returns the device of that key. all is the run of the
// rows before, which the row joins or ends. It is called by the writer.
func (s *Store) addOne(ctx context.Context, conn *sql.Conn, want *add, all *run) error {
	device := want.device
	if device.Status == fleet.Pending && want.mostPending > 0 {
		if err := s.endRun(ctx, all); err != nil { // pendingRoom counts standings
			return err
		}
		// A device that is known needs no room.
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
		if err := s.endRun(ctx, all); err != nil { // one of the same batch is read with its standing
			return err
		}
		kept, known, err := s.knownKey(ctx, want.digest)
		if err == nil && !known {
			err = fleet.ErrRevoked // nothing else is in the way
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

// endRun writes what is beside the devices of a run in other tables, and empties it. It is called by the writer.
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

// knownKey returns the first device of a digest, and whether there is one. It is called by the writer.
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

// insertDevice writes a row of devices and returns its ID, or 0 and writes nothing where the key is known or revoked. It is
// called by the writer.
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

// pendingRoom tells whether one more device may wait for approval. It is called by the writer.
func pendingRoom(ctx context.Context, conn *sql.Conn, most int) error {
	var waiting int
	err := conn.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM standings WHERE status = 1 LIMIT ?)", most).Scan(&waiting)
	if err == nil && waiting >= most {
		err = fleet.ErrPendingFull
	}
	return err
}

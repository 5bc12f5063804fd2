package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// An add is a device to store, and then the device that is stored.
type add struct {
	device      fleet.Device
	mostPending int // 0 means any number
}

// Add implements fleet.Store. It writes devices that arrive together in one transaction.
func (s *Store) Add(ctx context.Context, device fleet.Device, mostPending int) (kept fleet.Device, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		got, err := s.adds.Run(ctx, add{device, mostPending})
		kept = got.device
		return err
	})
	if err != nil {
		return fleet.Device{}, err
	}
	return kept, nil
}

func (s *Store) addAll(ctx context.Context, batch []*group.Job[add]) error {
	ctx, cancel := s.within(ctx, inTime)
	defer cancel()
	var added, refused map[uuid.UUID]bool
	err := s.again(ctx, func() (err error) {
		added, refused, err = s.insert(ctx, batch)
		return err
	})
	notice := fleet.Notice{Kind: fleet.DevicesChanged}
	for id := range added {
		notice.Devices = append(notice.Devices, id)
	}
	if err != nil || len(added) > 0 {
		s.notify([]fleet.Notice{notice}, err)
	}
	if err != nil {
		return err
	}
	if len(added) < len(batch) && s.primary.Load().synchronous {
		// A device that registers again may not know that it is stored.
		if err := s.touch(ctx); err != nil {
			return err
		}
	}
	for _, work := range batch {
		device := &work.Want.device
		if added[device.ID] {
			added[device.ID] = false // of two devices with the same UUID the first is stored
			*device = fleet.Device{ID: device.ID, Registered: device.Registered, LastSeen: device.Registered,
				Identity: device.Identity, KeyID: device.KeyID, Labels: device.Labels, Status: device.Status}
			continue
		}
		full := refused[device.ID]
		*device, work.Err = s.inTheWay(ctx, *device)
		if full && errors.Is(work.Err, fleet.ErrExists) {
			work.Err = fleet.ErrPendingFull
		}
	}
	return nil
}

// insert writes the devices that conflict with no stored one, and returns them. refused are the devices for which there
// is no room among those that wait for approval.
func (s *Store) insert(ctx context.Context, batch []*group.Job[add]) (added, refused map[uuid.UUID]bool, err error) {
	added, refused = map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	err = pgx.BeginFunc(ctx, s.pool(), func(tx pgx.Tx) error {
		clear(added)
		clear(refused)
		rest, err := pendingRoom(ctx, tx, batch, refused)
		if err != nil || len(rest) == 0 {
			return err
		}
		if err := insertRows(ctx, tx, rest, added); err != nil || len(added) == 0 {
			return err
		}
		var last pgx.Batch
		s.enter(&last, fleet.Notice{Kind: fleet.DevicesChanged, Devices: slices.Collect(maps.Keys(added))})
		return tx.SendBatch(ctx, &last).Close()
	})
	return added, refused, err
}

// pendingRoom adds to refused the devices for which there is no room among those that wait for approval, and returns
// the others. A transaction with pending devices locks a row until the commit, so that several servers do not use the
// same room. A device with a known key also takes room during its batch, because it is not known yet that it needs
// none.
func pendingRoom(ctx context.Context, tx pgx.Tx, batch []*group.Job[add], refused map[uuid.UUID]bool) (rest []*group.Job[add], err error) {
	most := 0
	for _, work := range batch {
		if work.Want.device.Status == fleet.Pending {
			most = max(most, work.Want.mostPending)
		}
	}
	if most == 0 {
		return batch, nil
	}
	if _, err := tx.Exec(ctx, "SELECT value FROM counters WHERE name = 'pending' FOR UPDATE"); err != nil {
		return nil, err
	}
	var waiting int
	err = tx.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM devices WHERE status = 1 LIMIT $1) AS waiting", most).Scan(&waiting)
	for _, work := range batch {
		if work.Want.device.Status == fleet.Pending {
			if work.Want.mostPending > 0 && waiting >= work.Want.mostPending {
				refused[work.Want.device.ID] = true
				continue
			}
			waiting++
		}
		rest = append(rest, work)
	}
	return rest, err
}

// insertRows writes devices, and records in added which were written.
func insertRows(ctx context.Context, tx pgx.Tx, batch []*group.Job[add], added map[uuid.UUID]bool) error {
	var (
		ids                 []uuid.UUID
		registered          []int64
		address, keys, arch []rows.Text
		digests             [][]byte
		keyIDs              []*string
		names               []string
		status              []int16
		labels              []string
	)
	for _, work := range batch {
		device := work.Want.device
		ids = append(ids, device.ID)
		registered = append(registered, rows.Seconds(device.Registered))
		address = append(address, rows.Text(device.IPAddress))
		keys = append(keys, rows.Text(device.PublicKeyRSA))
		arch = append(arch, rows.Text(device.Arch))
		digests = append(digests, rows.Digest(device.PublicKeyRSA))
		keyIDs = append(keyIDs, rows.NullIfEmpty(device.KeyID))
		names = append(names, device.Names())
		status = append(status, int16(device.Status))
		labels = append(labels, device.Labels.String())
	}
	found, err := tx.Query(ctx, `WITH new AS (
				INSERT INTO devices (uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id, status, labels)
				SELECT uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id, status, labels
				FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[], $8::smallint[],
					$9::text[], $10::text[])
					AS new (uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id, status, labels, name)
				WHERE NOT EXISTS (SELECT 1 FROM revoked_keys r WHERE r.key_id = new.name)
				ON CONFLICT DO NOTHING RETURNING id, uuid, registered
			), report AS (INSERT INTO reports (device) SELECT id FROM new),
			standing AS (INSERT INTO standings (device, last_seen) SELECT id, registered FROM new)
			SELECT uuid FROM new`, ids, registered, address, keys, arch, digests, keyIDs, status, labels, names)
	if err != nil {
		return err
	}
	var id uuid.UUID
	_, err = pgx.ForEachRow(found, []any{&id}, func() error {
		added[id] = true
		return nil
	})
	return err
}

// inTheWay returns the device that prevented the addition of another: the one with its key, or with its UUID.
func (s *Store) inTheWay(ctx context.Context, device fleet.Device) (fleet.Device, error) {
	if key := rows.Digest(device.PublicKeyRSA); key != nil {
		kept, err := s.one(ctx, "d.key_digest = $1", key)
		if err == nil || !rows.Refusal(err) {
			return kept, err
		}
	}
	if device.KeyID != "" {
		kept, err := s.one(ctx, "d.key_id = $1", device.KeyID)
		if err == nil || !rows.Refusal(err) {
			return kept, err
		}
	}
	if err := allowed(ctx, s.pool(), device.Names()); err != nil {
		return fleet.Device{}, err
	}
	return fleet.Device{}, fleet.ErrExists
}

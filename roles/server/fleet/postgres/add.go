package postgres

import (
	"context"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// An add is one device to keep, and then the one that is kept.
type add struct{ device fleet.Device }

// Add is as of fleet.Store. Devices that come at the same time are written together.
func (s *Store) Add(ctx context.Context, device fleet.Device) (kept fleet.Device, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		got, err := s.adds.run(ctx, add{device})
		kept = got.device
		return err
	})
	if err != nil {
		return fleet.Device{}, err
	}
	return kept, nil
}

func (s *Store) addAll(ctx context.Context, batch []*job[add]) error {
	ctx, cancel := context.WithTimeout(ctx, inTime)
	defer cancel()
	var added map[uuid.UUID]bool
	err := s.again(ctx, func() (err error) {
		added, err = s.insert(ctx, batch)
		return err
	})
	notice := &fleet.Notice{Kind: fleet.DevicesChanged}
	for id := range added {
		notice.Devices = append(notice.Devices, id)
	}
	if err != nil || len(added) > 0 {
		s.told(notice, err)
	}
	if err != nil {
		return err
	}
	for _, work := range batch {
		device := &work.want.device
		if added[device.ID] {
			added[device.ID] = false // of two with the same UUID the first is in
			*device = fleet.Device{ID: device.ID, Registered: device.Registered, Identity: device.Identity,
				KeyID: device.KeyID, Labels: device.Labels, Status: device.Status}
			continue
		}
		*device, work.err = s.inTheWay(ctx, *device)
	}
	return nil
}

// insert writes those devices that nothing is in the way of, and returns which.
func (s *Store) insert(ctx context.Context, batch []*job[add]) (map[uuid.UUID]bool, error) {
	var (
		ids                 []uuid.UUID
		registered          []int64
		address, keys, arch []octets
		digests             [][]byte
		keyIDs              []*string
		status              []int16
		labels              []string
	)
	for _, work := range batch {
		device := work.want.device
		ids = append(ids, device.ID)
		registered = append(registered, seconds(device.Registered))
		address = append(address, octets(device.IPAddress))
		keys = append(keys, octets(device.PublicKeyRSA))
		arch = append(arch, octets(device.Arch))
		digests = append(digests, digest(device.PublicKeyRSA))
		keyIDs = append(keyIDs, null(device.KeyID))
		status = append(status, int16(device.Status))
		labels = append(labels, device.Labels.String())
	}
	added := map[uuid.UUID]bool{}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `WITH new AS (
				INSERT INTO devices (uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id, status, labels)
				SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[],
					$8::smallint[], $9::text[])
				ON CONFLICT DO NOTHING RETURNING number, uuid
			), report AS (INSERT INTO reports (device) SELECT number FROM new),
			sight AS (INSERT INTO seen (device) SELECT number FROM new)
			SELECT uuid FROM new`, ids, registered, address, keys, arch, digests, keyIDs, status, labels)
		if err != nil {
			return err
		}
		clear(added)
		notice := fleet.Notice{Kind: fleet.DevicesChanged}
		var id uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			added[id] = true
			notice.Devices = append(notice.Devices, id)
			return nil
		})
		if err != nil || len(added) == 0 {
			return err
		}
		var last pgx.Batch
		s.enter(&last, notice)
		return tx.SendBatch(ctx, &last).Close()
	})
	return added, err
}

// inTheWay finds the device because of which another was not added: the one of its key, or that of its UUID.
func (s *Store) inTheWay(ctx context.Context, device fleet.Device) (fleet.Device, error) {
	if key := digest(device.PublicKeyRSA); key != nil {
		kept, err := s.one(ctx, "d.key_digest = $1", key)
		if err == nil || !isRule(err) {
			return kept, err
		}
	}
	if device.KeyID != "" {
		kept, err := s.one(ctx, "d.key_id = $1", device.KeyID)
		if err == nil || !isRule(err) {
			return kept, err
		}
	}
	return fleet.Device{}, fleet.ErrExists
}

package postgres

import (
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// octets is a text in a column of type bytea.
type octets string

// BytesValue and ScanBytes are what pgx asks for.
func (o octets) BytesValue() ([]byte, error) { return []byte(o), nil }

func (o *octets) ScanBytes(value []byte) error {
	*o = octets(value)
	return nil
}

// seconds is how times are kept; 0 stands for the zero time.
func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// null is what a column that may be NULL holds for "".
func null(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// deviceColumns are those of deviceRow, of the tables that deviceTables joins. Lists leave out what is bulky: there the
// key and the configuration are replaced by constants.
const (
	deviceColumns = `d.number, d.uuid, d.registered, d.ip_address, d.public_key_rsa, d.arch, coalesce(d.key_id, ''), d.status,
		d.labels, d.own_revision, r.config, r.sequence, r.instance, r.running_revision, r.running_hash, r.attempted_revision,
		r.attempted_outcome, r.attempted_path, r.attempted_reason, r.attempted_at, r.at, s.state, s.verdict_revision,
		s.last_seen, s.twins, s.alone, l.config, l.revision, l.set_by, l.set_at`
	listColumns = `d.number, d.uuid, d.registered, d.ip_address, ''::bytea, d.arch, coalesce(d.key_id, ''), d.status,
		d.labels, d.own_revision, CASE WHEN s.says THEN '{}' ELSE r.config END, r.sequence, r.instance, r.running_revision, r.running_hash, r.attempted_revision,
		r.attempted_outcome, r.attempted_path, r.attempted_reason, r.attempted_at, r.at, s.state, s.verdict_revision,
		s.last_seen, s.twins, s.alone, l.config, l.revision, l.set_by, l.set_at`
	deviceTables = `devices d JOIN reports r ON r.device = d.number JOIN seen s ON s.device = d.number
		LEFT JOIN layers l ON l.device = d.number`
	isMute = " AND NOT s.says AND s.state <> 0"
)

// A deviceRow takes what deviceColumns or listColumns give.
type deviceRow struct {
	number                       int64
	id                           uuid.UUID
	registered, ownRevision      int64
	address, key, arch           octets
	keyID, labels, config        string
	status, outcome, state       int16
	sequence, running, attempted int64
	instance, hash, path, reason octets
	attemptedAt, at, verdict     int64
	seen, twins, alone           int64

	ownConfig     *string
	ownSet, ownAt *int64
	ownBy         *octets
}

func (r *deviceRow) targets() []any {
	return []any{&r.number, &r.id, &r.registered, &r.address, &r.key, &r.arch, &r.keyID, &r.status, &r.labels, &r.ownRevision,
		&r.config, &r.sequence, &r.instance, &r.running, &r.hash, &r.attempted, &r.outcome, &r.path, &r.reason, &r.attemptedAt, &r.at,
		&r.state, &r.verdict, &r.seen, &r.twins, &r.alone, &r.ownConfig, &r.ownSet, &r.ownBy, &r.ownAt}
}

func (r *deviceRow) device() (fleet.Device, error) {
	labels, err := fleet.LoadLabels(r.labels)
	if err != nil {
		return fleet.Device{}, err
	}
	config, err := fleet.LoadConfig([]byte(r.config))
	if err != nil {
		return fleet.Device{}, err
	}
	device := fleet.Device{
		ID:          r.id,
		Registered:  moment(r.registered),
		Identity:    fleet.Identity{IPAddress: string(r.address), PublicKeyRSA: string(r.key), Arch: string(r.arch)},
		KeyID:       r.keyID,
		Status:      fleet.Status(r.status),
		Labels:      labels,
		OwnRevision: r.ownRevision,
		Report: fleet.Report{
			Config:   config,
			Sequence: r.sequence,
			Instance: string(r.instance),
			Running:  fleet.Running{Revision: r.running, Hash: string(r.hash)},
			Attempted: fleet.Attempted{Revision: r.attempted, Outcome: fleet.Outcome(r.outcome), Path: string(r.path),
				Reason: string(r.reason), At: r.attemptedAt},
			At:      moment(r.at),
			Verdict: fleet.Verdict{State: fleet.State(r.state), Revision: r.verdict},
		},
		LastSeen: moment(r.seen),
		Twins:    moment(r.twins),
		Alone:    moment(r.alone),
	}
	if r.ownConfig == nil {
		return device, nil
	}
	own, err := fleet.LoadConfig([]byte(*r.ownConfig))
	if err != nil {
		return fleet.Device{}, err
	}
	device.Own = &fleet.Layer{Name: fleet.DeviceLayer(r.id), Config: own, Revision: *r.ownSet,
		Authorship: fleet.Authorship{By: string(*r.ownBy), At: moment(*r.ownAt)}}
	return device, nil
}

// eachDevice reads rows of deviceColumns or listColumns.
func eachDevice(rows pgx.Rows, each func(number int64, device fleet.Device)) error {
	var row deviceRow
	_, err := pgx.ForEachRow(rows, row.targets(), func() error {
		device, err := row.device()
		if err == nil {
			each(row.number, device)
		}
		return err
	})
	return err
}

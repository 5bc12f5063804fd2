package rows

import (
	"fmt"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

const (
	// DeviceColumns are the columns of a Device. The statement calls devices d, reports r, standings s, and the layer
	// of the device o, which may be missing; status, labels and own_revision are in the table of the store.
	DeviceColumns = deviceColumns + ", d.public_key_rsa, r.config"
	// BriefColumns are DeviceColumns without large values: the key, and the configuration of a device that reports
	// which target it runs.
	BriefColumns = deviceColumns + ", '', CASE WHEN s.says THEN '{}' ELSE r.config END"
	// ConfigColumns are DeviceColumns without the key.
	ConfigColumns = deviceColumns + ", '', r.config"

	deviceColumns = `d.id, d.uuid, d.registered, d.ip_address, d.arch, coalesce(d.key_id, ''), status, labels, own_revision,
		coalesce(d.name, ''),		r.sequence, r.instance, r.running_revision, r.running_hash, r.attempted_revision, r.attempted_outcome,
		r.attempted_path, r.attempted_reason, r.attempted_at, r.at, s.state, s.verdict_revision, s.last_seen, s.twins,
		s.alone, o.config, o.revision, o.author, o.at`

	// IsMute is the condition of fleet.Store.Mute.
	IsMute = "NOT s.says AND s.state <> 0"
)

// A Device is a row of DeviceColumns, BriefColumns or ConfigColumns.
//
// It has many fields because each column is one.
type Device struct {
	ID int64

	uuid                                          uuid.UUID
	registered, ownRevision                       int64
	address, key, arch                            Text
	keyID, labels, name                           string
	status, outcome, state                        int16
	config                                        []byte
	sequence, running, attempted, attemptedAt, at int64
	instance, hash, path, reason                  Text
	verdict, lastSeen, twins, alone               int64

	own                 []byte // nil for none; so is the next
	ownChanged, ownTime *int64
	ownAuthor           *Text
}

// Into returns what the columns are scanned into.
func (r *Device) Into() []any {
	return []any{&r.ID, &r.uuid, &r.registered, &r.address, &r.arch, &r.keyID, &r.status, &r.labels, &r.ownRevision, &r.name,
		&r.sequence, &r.instance, &r.running, &r.hash, &r.attempted, &r.outcome, &r.path, &r.reason, &r.attemptedAt, &r.at,
		&r.state, &r.verdict, &r.lastSeen, &r.twins, &r.alone, &r.own, &r.ownChanged, &r.ownAuthor, &r.ownTime,
		&r.key, &r.config}
}

// Device returns the device. It returns an error for a row that no store has written.
func (r *Device) Device() (fleet.Device, error) {
	labels, err := labelsOf(r.labels)
	if err != nil {
		return fleet.Device{}, fmt.Errorf("a device's %w", err)
	}
	config, err := configOf("a report", r.config)
	if err != nil {
		return fleet.Device{}, err
	}
	device := fleet.Device{
		ID:          r.uuid,
		Registered:  Time(r.registered),
		Identity:    fleet.Identity{IPAddress: string(r.address), PublicKeyRSA: string(r.key), Arch: string(r.arch)},
		KeyID:       r.keyID,
		Status:      fleet.Status(r.status),
		Labels:      labels,
		Name:        r.name,
		OwnRevision: r.ownRevision,
		Report: fleet.Report{
			Config:   config,
			Sequence: r.sequence,
			Instance: string(r.instance),
			Running:  fleet.Running{Revision: r.running, Hash: string(r.hash)},
			Attempted: fleet.Attempted{Revision: r.attempted, Outcome: fleet.Outcome(r.outcome), Path: string(r.path),
				Reason: string(r.reason), At: r.attemptedAt},
			At:      Time(r.at),
			Verdict: fleet.Verdict{State: fleet.State(r.state), Revision: r.verdict},
		},
		LastSeen: Time(r.lastSeen),
		Twins:    Time(r.twins),
		Alone:    Time(r.alone),
	}
	if r.ownChanged == nil {
		return device, nil
	}
	own := DeviceLayer{uuid: r.uuid, config: r.own, revision: *r.ownChanged, author: *r.ownAuthor, at: *r.ownTime}
	layer, err := own.Layer()
	device.Own = &layer
	return device, err
}

// StandingColumns are the columns of a Standing, as a format: the first %s is the column with the labels. The others
// are the parameters of fleet.Store.Standings: the time since which a device must have been seen, and for how many
// seconds two machines count. The statement groups by columns 1 to 6.
const StandingColumns = `status, state, verdict_revision,
	CASE WHEN own_revision >= verdict_revision THEN own_revision ELSE 0 END, NOT says AND state <> 0,
	%s, count(*), count(*) FILTER (WHERE last_seen < %s), count(*) FILTER (WHERE twins > alone AND last_seen - twins < %s)`

// A Standing is a row of StandingColumns.
type Standing struct {
	fleet.Standing
	status, state int16
}

// Into returns the destinations for a scan. labels is the destination for the store's form of labels.
func (r *Standing) Into(labels any) []any {
	return []any{&r.status, &r.state, &r.Verdict.Revision, &r.Own, &r.Mute, labels, &r.Count, &r.Silent, &r.Cloned}
}

// Group returns the group of devices with these labels.
func (r *Standing) Group(labels fleet.Labels) fleet.Standing {
	group := r.Standing
	group.Status, group.Verdict.State, group.Labels = fleet.Status(r.status), fleet.State(r.state), labels
	return group
}

package rows

import (
	"encoding/json"
	"fmt"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// ReleaseColumns are the columns of a Release.
const ReleaseColumns = "id, version, author, at, layers, plan, progress, outcome"

// A Release is a row of ReleaseColumns.
type Release struct {
	id, version, at                 int64
	author                          Text
	layers, plan, progress, outcome string
}

// Into returns what the columns are scanned into.
func (r *Release) Into() []any {
	return []any{&r.id, &r.version, &r.author, &r.at, &r.layers, &r.plan, &r.progress, &r.outcome}
}

// Release returns the release. It returns an error for a row that no store has written.
func (r *Release) Release() (fleet.Release, error) {
	of := fleet.Release{ID: r.id, Version: r.version, Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}
	var err error
	if of.Plan, err = release.Load([]byte(r.plan)); err == nil {
		err = json.Unmarshal([]byte(r.layers), &of.Layers)
	}
	if err == nil {
		err = json.Unmarshal([]byte(r.progress), &of.Progress)
	}
	if err == nil {
		err = json.Unmarshal([]byte(r.outcome), &of.Outcome)
	}
	if err != nil {
		return fleet.Release{}, fmt.Errorf("release %d: %w", r.id, err)
	}
	return of, nil
}

// ReleaseValues returns the values for ReleaseColumns, and for active: 1, or NULL for a release that has ended.
func ReleaseValues(of fleet.Release) []any {
	var active *int64
	if of.Active() {
		active = new(int64(1))
	}
	layers, _ := json.Marshal(of.Layers) // texts always encode
	progress, outcome := MovedValues(of)
	return []any{of.ID, of.Version, Text(of.By), Seconds(of.At), string(layers), of.Plan.String(), progress, outcome, active}
}

// MovedValues returns the values for progress and outcome.
func MovedValues(of fleet.Release) (progress, outcome string) {
	text, _ := json.Marshal(of.Progress) // numbers and texts always encode; so do the next
	more, _ := json.Marshal(of.Outcome)
	return string(text), string(more)
}

// BeforeColumns are the columns of a Before.
const BeforeColumns = LayerColumns + ", own"

// A Before is a row of BeforeColumns.
type Before struct {
	layer Layer
	own   int64
}

// Into returns what the columns are scanned into.
func (r *Before) Into() []any { return append(r.layer.Into(), &r.own) }

// Before returns the layer as before the release. It returns an error for a row that no store has written.
func (r *Before) Before() (fleet.Before, error) {
	layer, err := r.layer.Layer()
	return fleet.Before{Layer: layer, Own: r.own}, err
}

// BeforeValues returns the values for BeforeColumns.
func BeforeValues(name fleet.LayerName, before fleet.Layer, own int64) []any {
	before.Name = name
	return append(LayerValues(before), own)
}

// CountedColumns are the columns of a Counted, as a format: %s is the column with the labels. The statement calls
// devices d and standings s.
const CountedColumns = `d.uuid, status, s.state, s.verdict_revision, own_revision, NOT s.says AND s.state <> 0, %s, s.last_seen, s.twins,
	s.alone, CASE WHEN s.state IN (4, 5) THEN (SELECT r.at FROM reports r WHERE r.device = s.device) ELSE 0 END`

// A Counted is a row of CountedColumns.
type Counted struct {
	uuid          uuid.UUID
	status, state int16
	fleet.Counted
}

// Into returns the destinations for a scan. labels is the destination for the store's form of labels.
func (r *Counted) Into(labels any) []any {
	return []any{&r.uuid, &r.status, &r.state, &r.Verdict.Revision, &r.Own, &r.Mute, labels, &r.LastSeen, &r.Twins, &r.Alone, &r.Reported}
}

// Device returns the device with these labels.
func (r *Counted) Device(labels fleet.Labels) fleet.Counted {
	device := r.Counted
	device.ID, device.Status, device.Verdict.State, device.Labels = r.uuid, fleet.Status(r.status), fleet.State(r.state), labels
	return device
}

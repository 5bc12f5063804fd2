// Package roster is the fleet as lists and counts have to know it: every device as of one moment, so that what is counted
// and what is listed agree, in whatever order the list is.
//
// A Roster makes a Roll, the list of all devices, from a fleet when somebody asks, and keeps it for a time that grows with
// what it took. A Roll answers queries from memory.
package roster

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

const (
	// share bounds the time that making rolls may take: one that took a second is good for twenty.
	share = 20
	// readAtOnce is how many devices are read from the fleet at a time.
	readAtOnce = 1000
)

// A Row is what lists show of a device.
type Row struct {
	ID              uuid.UUID
	Registered      int64 // seconds since 1970
	Address, Arch   string
	Labels          fleet.Labels
	State           fleet.State
	Silent, Cloned  bool
	LastSeen        int64 // seconds since 1970; 0: never
	Target, Running int64 // revisions; 0: none
	Reason          string
}

// A Roster makes rolls of a fleet. It is safe for concurrent use.
type Roster struct {
	rules *fleet.Fleet

	mu    sync.Mutex // guards what follows; held while a roll is made, so that one is made at a time
	last  *Roll
	until time.Time
}

// New returns the roster of a fleet.
func New(rules *fleet.Fleet) *Roster { return &Roster{rules: rules} }

// Roll returns the devices as they are, or in a large fleet as they were some seconds ago. Good is for how long the same
// roll will be returned; 0 for one that was made for this call.
func (r *Roster) Roll(ctx context.Context) (roll *Roll, good time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := time.Now()
	if left := r.until.Sub(begin); left > 0 {
		return r.last, left, nil
	}
	if roll, err = r.read(ctx); err != nil {
		return nil, 0, err
	}
	r.last, r.until = roll, time.Now().Add(share*time.Since(begin))
	return roll, 0, nil
}

func (r *Roster) read(ctx context.Context) (*Roll, error) {
	roll := &Roll{}
	labels, arches := map[string]fleet.Labels{}, map[string]string{}
	for after := ""; ; {
		list, next, err := r.rules.Devices(ctx, fleet.Filter{}, after, readAtOnce)
		if err != nil {
			return nil, err
		}
		for _, view := range list {
			roll.rows = append(roll.rows, rowOf(view, labels, arches))
		}
		if after = next; after == "" {
			return roll, nil
		}
	}
}

// rowOf makes a row. Labels and architectures that several devices share are kept once.
func rowOf(view fleet.View, labels map[string]fleet.Labels, arches map[string]string) Row {
	row := Row{
		ID: view.ID, Registered: view.Registered.Unix(), Address: view.IPAddress, State: view.State, Silent: view.Silent,
		Cloned: view.Cloned,
		Target: view.Target.Revision, Running: view.Running.Revision,
		Arch: once(arches, view.Arch, view.Arch), Labels: once(labels, view.Labels.String(), view.Labels),
	}
	if !view.LastSeen.IsZero() {
		row.LastSeen = view.LastSeen.Unix()
	}
	if view.State == fleet.StateRefused || view.State == fleet.StateFailed {
		row.Reason = view.Attempted.Reason
	}
	return row
}

func once[V any](kept map[string]V, key string, value V) V {
	if first, there := kept[key]; there {
		return first
	}
	kept[key] = value
	return value
}

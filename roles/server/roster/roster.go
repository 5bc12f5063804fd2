// Package roster lists and counts the devices of a fleet as of one moment, so that the list and its counts agree. Its
// main types are Roster and Roll.
//
// A Roster reads all devices into a Roll on demand, and reuses the Roll for ten times as long as the read took. If
// reads take long, callers get the previous Roll until the next one is ready. A Roll filters, sorts and counts in
// memory. Package fleet decides the state of each device.
package roster

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

const (
	// share limits the time spent on reads: a roll whose read took a second is used for ten seconds.
	share = 10
	// noticed is the duration from which a person notices a read.
	noticed = 100 * time.Millisecond
	// readAtOnce is the number of devices in one call of the fleet.
	readAtOnce = 1000
)

// A Row is a device in a list.
type Row struct {
	ID              uuid.UUID
	Name            string // "" for none
	Registered      int64  // seconds since 1970
	Address, Arch   string
	Labels          fleet.Labels
	State           fleet.State
	Silent, Cloned  bool
	Unsigned        bool   // it does not run its target because nobody has signed the target
	LastSeen        int64  // seconds since 1970; 0 means never
	Target, Running int64  // revisions; 0 means none
	Reason          string // why it refused its target or failed
	Cause           string // see CauseOf; "" without a reason
}

// A Roster reads rolls of a fleet. It is safe for concurrent use.
type Roster struct {
	rules *fleet.Fleet

	making sync.Mutex // held during a read, so that there is one read at a time

	mu    sync.Mutex // guards the fields below
	last  *Roll
	until time.Time     // end of last's use
	took  time.Duration // duration of the last read
	next  bool          // a goroutine reads the next roll
}

// New returns the roster of a fleet.
func New(rules *fleet.Fleet) *Roster { return &Roster{rules: rules} }

// Roll returns the devices as they are now. In a large fleet it returns them as they were some seconds ago. good is how
// long Roll will return the same roll; 0 for a roll that was read for this call.
func (r *Roster) Roll(ctx context.Context) (roll *Roll, good time.Duration, err error) {
	if roll, good = r.present(ctx); roll != nil {
		return roll, good, nil
	}
	r.making.Lock()
	defer r.making.Unlock()
	if roll, good = r.present(ctx); roll != nil { // another call has read one meanwhile
		return roll, good, nil
	}
	roll, err = r.make(ctx)
	return roll, 0, err
}

// present returns the last roll while it is valid. If its time has passed and a read takes long, present starts the
// read of the next roll and still returns the last one.
func (r *Roster) present(ctx context.Context) (roll *Roll, good time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := time.Until(r.until)
	switch {
	case left > 0:
		return r.last, left
	case r.took < noticed || left < -share*r.took:
		return nil, 0
	}
	if !r.next {
		r.next = true
		go func() {
			r.making.Lock()
			defer r.making.Unlock()
			// The next caller reads a roll itself and gets the error.
			_, _ = r.make(context.WithoutCancel(ctx))
		}()
	}
	return r.last, r.took
}

// make reads a roll and stores it as the last one. The caller holds making.
func (r *Roster) make(ctx context.Context) (*Roll, error) {
	begin := time.Now()
	roll, err := r.read(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = false
	if err == nil {
		r.took = time.Since(begin)
		r.last, r.until = roll, time.Now().Add(share*r.took)
	}
	return roll, err
}

func (r *Roster) read(ctx context.Context) (*Roll, error) {
	roll := &Roll{}
	arches := map[string]string{}
	for after := ""; ; {
		list, next, err := r.rules.Devices(ctx, fleet.Filter{}, after, readAtOnce)
		if err != nil {
			return nil, err
		}
		for _, view := range list {
			roll.rows = append(roll.rows, rowOf(view, arches))
		}
		if after = next; after == "" {
			return roll, nil
		}
	}
}

// rowOf returns the row of a device. Equal architectures share their memory.
func rowOf(view fleet.View, arches map[string]string) Row {
	arch, there := arches[view.Arch]
	if !there {
		arch = view.Arch
		arches[arch] = arch
	}
	row := Row{
		ID: view.ID, Name: view.Name, Registered: view.Registered.Unix(), Address: view.IPAddress, State: view.State, Silent: view.Silent,
		Cloned: view.Cloned, Unsigned: view.Unsigned(),
		Target: view.Target.Revision, Running: view.Running.Revision,
		Arch: arch, Labels: view.Labels,
	}
	if !view.LastSeen.IsZero() {
		row.LastSeen = view.LastSeen.Unix()
	}
	if view.State == fleet.StateRefused || view.State == fleet.StateFailed {
		row.Reason = view.Attempted.Reason
		row.Cause = CauseOf(row.Reason)
	}
	return row
}

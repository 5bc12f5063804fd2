// Package roster is the fleet as lists and counts have to know it: every device as of one moment, so that what is counted
// and what is listed agree, in whatever order the list is.
//
// A Roster makes a Roll, the list of all devices, from a fleet when somebody asks, and keeps it for a time that grows with
// what it took. Where it took so long that a reader would notice, the one of before is good for as long again, while the next
// is being made. A Roll answers queries from memory.
package roster

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

const (
	// share bounds the time that making rolls may take: one that took a second is good for ten.
	share = 10
	// noticed is what a reader need not wait for.
	noticed = 100 * time.Millisecond
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

	making sync.Mutex // held while a roll is made, so that one is made at a time

	mu    sync.Mutex // guards what follows
	last  *Roll
	until time.Time     // last is good
	took  time.Duration // to make it
	next  bool          // is being made
}

// New returns the roster of a fleet.
func New(rules *fleet.Fleet) *Roster { return &Roster{rules: rules} }

// Roll returns the devices as they are, or in a large fleet as they were some seconds ago. Good is for how long the same
// roll will be returned; 0 for one that was made for this call.
func (r *Roster) Roll(ctx context.Context) (roll *Roll, good time.Duration, err error) {
	if roll, good = r.present(ctx); roll != nil {
		return roll, good, nil
	}
	r.making.Lock()
	defer r.making.Unlock()
	if roll, good = r.present(ctx); roll != nil { // another was made meanwhile
		return roll, good, nil
	}
	roll, err = r.make(ctx)
	return roll, 0, err
}

// present returns the roll that there is, if it is good. Where it was and the next takes long, that is begun.
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
			// Who asks next is told what failed: he has none that is good, and has one made.
			_, _ = r.make(context.WithoutCancel(ctx))
		}()
	}
	return r.last, r.took
}

// make makes a roll; making must be held.
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

// rowOf makes a row. Architectures that several devices share are kept once.
func rowOf(view fleet.View, arches map[string]string) Row {
	arch, there := arches[view.Arch]
	if !there {
		arch = view.Arch
		arches[arch] = arch
	}
	row := Row{
		ID: view.ID, Registered: view.Registered.Unix(), Address: view.IPAddress, State: view.State, Silent: view.Silent,
		Cloned: view.Cloned,
		Target: view.Target.Revision, Running: view.Running.Revision,
		Arch: arch, Labels: view.Labels,
	}
	if !view.LastSeen.IsZero() {
		row.LastSeen = view.LastSeen.Unix()
	}
	if view.State == fleet.StateRefused || view.State == fleet.StateFailed {
		row.Reason = view.Attempted.Reason
	}
	return row
}

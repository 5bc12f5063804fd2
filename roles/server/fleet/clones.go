package fleet

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Two machines report as one device if an image was copied after its first start, with its key. Their reports
// alternate. The reports of one machine do not: after a restart, a reset or a restored backup it continues as another
// instance than before, once. A delayed request may arrive after later ones, and its signature shows that it was sent
// before them. But an instance that returns again and again, with newly sent requests after those of another instance,
// is a second machine.
const (
	mostReturns       = 2 // the largest number for one machine that signs its requests
	mostReturnsNoSign = 5 // the same without signatures, where nothing shows when a request was sent
	quietPolls        = 16
	mostFaces         = 4
	mostRivalries     = 1 << 16
	// clonedFor is for how many poll intervals a machine must be alone until the device is no longer cloned.
	clonedFor = 10
)

// clones detects machines that alternate as one device. It watches a device only after something unusual, which is
// rare. The zero value is ready for use.
type clones struct {
	watched atomic.Int64 // len(of), for reads without the lock

	mu     sync.Mutex // guards the fields below
	of     map[uuid.UUID]*rivalry
	marked map[uuid.UUID]bool // devices that this server shows as cloned
}

// A rivalry is what clones knows of the machines that may share an identity.
type rivalry struct {
	faces   []string // the machines that reported, the latest last
	kept    string   // the machine whose report is stored, as far as this server knows
	sent    time.Time
	returns int // how often a machine has come back
	quiet   int // polls since then from the same machine as the poll before
}

// faces returns the identities of the machine that polls and of the one before it. A device's instance is its identity.
// Without an instance the sequence is the sign: a poll with an older sequence comes from a machine that does not know
// the later one.
func faces(poll Poll, kept Report) (now, before string) {
	switch {
	case !poll.Report || kept.At.IsZero():
		return "", ""
	case poll.Instance != "" && kept.Instance != "":
		return "instance " + poll.Instance, "instance " + kept.Instance
	case poll.Sequence != 0 && poll.Sequence < kept.Sequence:
		return "earlier sequence", "later sequence"
	}
	return "later sequence", "later sequence"
}

// observe records a poll, after which the report kept is stored, and reports whether the poll shows that machines
// alternate.
func (c *clones) observe(id uuid.UUID, poll Poll, kept Report) bool {
	now, before := faces(poll, kept)
	late := poll.Sequence != 0 && poll.Sequence < kept.Sequence
	if late && poll.Instance != "" && poll.Sent.IsZero() {
		return false // the poll may have been delayed; a machine continues with a later sequence, which identifies it
	}
	if now == "" || now == before && c.watched.Load() == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	stays := now
	if late {
		stays = before
	}
	r := c.of[id]
	switch {
	case r == nil:
		if now != before && len(c.of) < mostRivalries {
			c.watch(id, &rivalry{faces: []string{before, now}, kept: stays, sent: poll.Sent})
		}
		return false
	case poll.Sent.Before(r.sent):
		return false // the poll was delayed
	}
	r.sent = poll.Sent
	last := r.faces[len(r.faces)-1]
	if r.kept != before {
		last = before // another server has heard of that machine meanwhile
	}
	r.kept = stays
	if now == last {
		return c.calm(id, r)
	}
	r.quiet = 0
	if at := slices.Index(r.faces, now); at >= 0 {
		r.returns++
		r.faces = slices.Delete(r.faces, at, at+1)
	}
	if r.faces = append(r.faces, now); len(r.faces) > mostFaces {
		r.faces = r.faces[1:]
	}
	most := mostReturns
	if poll.Sent.IsZero() {
		most = mostReturnsNoSign
	}
	return r.returns > most
}

func (c *clones) watch(id uuid.UUID, r *rivalry) {
	if c.of == nil {
		c.of = map[uuid.UUID]*rivalry{}
	}
	c.of[id] = r
	c.watched.Store(int64(len(c.of)))
}

// same records a poll that repeats the one before.
func (c *clones) same(id uuid.UUID, sent time.Time) {
	if c.watched.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.of[id]; r != nil && !sent.Before(r.sent) {
		r.sent = sent
		c.calm(id, r)
	}
}

// calm records a poll from the same machine as the one before.
func (c *clones) calm(id uuid.UUID, r *rivalry) bool {
	if r.quiet++; r.quiet >= quietPolls {
		delete(c.of, id)
		c.watched.Store(int64(len(c.of)))
	}
	return false
}

// cloned reports whether two machines report as this device, or did so shortly before its last poll, unless an operator
// has called SetAlone since.
func (d Device) cloned(interval time.Duration) bool {
	return d.Twins.After(d.Alone) && d.LastSeen.Sub(d.Twins) < clonedFor*interval
}

// twins records that two machines were detected. It logs that unless somebody has logged it already.
func (f *Fleet) twins(device Device, now time.Time) {
	f.sightings.complete(&device)
	if !device.cloned(f.options.PollInterval) {
		f.options.Log.Warn("two machines report as one device, in turn: was an image copied after its first start? "+
			"Give one of them a state of its own", "uuid", device.ID, "key-id", device.KeyID, "address", device.IPAddress)
	}
	f.sightings.addTwins(device.ID, now)
	f.clones.mark(device.ID)
}

// mark records that a device is shown as cloned, so that parted can log the end.
func (c *clones) mark(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marked == nil {
		c.marked = map[uuid.UUID]bool{}
	}
	if len(c.marked) < mostRivalries {
		c.marked[id] = true
	}
}

// parted logs the devices that are not cloned any more.
func (f *Fleet) parted(ctx context.Context) {
	f.clones.mu.Lock()
	marked := slices.Collect(maps.Keys(f.clones.marked))
	f.clones.mu.Unlock()
	for _, id := range marked {
		device, err := f.store.Device(ctx, id)
		if err != nil && !errors.Is(err, ErrUnknownDevice) {
			return // the next call tries again
		}
		f.sightings.complete(&device)
		if err == nil && device.cloned(f.options.PollInterval) {
			continue
		}
		f.clones.mu.Lock()
		delete(f.clones.marked, id)
		f.clones.mu.Unlock()
		switch {
		case err != nil: // the device was removed
		case device.Twins.After(device.Alone):
			f.options.Log.Info("one machine reports as the device again, alone for ten poll intervals", "uuid", id)
		default:
			f.options.Log.Info("an operator has said that one machine reports as the device", "uuid", id)
		}
	}
}

// SetAlone records that only one machine is the device, as an operator knows. The device is not shown as cloned until
// two machines are detected again. It returns a *ScopeError if the device is not within the scope.
func (f *Fleet) SetAlone(ctx context.Context, id uuid.UUID, within Scope) error {
	if len(within) > 0 { // a refusal must change nothing; the store checks again
		device, err := f.store.Device(ctx, id)
		if err == nil {
			err = within.Device(device.Labels)
		}
		if err != nil {
			return err
		}
	}
	f.clones.forget(id)
	err := f.store.SetAlone(ctx, id, f.options.Now(), within)
	f.summary.stale.Store(true)
	return err
}

// forget makes clones detect the machines of a device anew.
func (c *clones) forget(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, id)
	c.watched.Store(int64(len(c.of)))
}

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

// Two machines may speak for one device: an image was copied after its first start, with its key and all. They take turns,
// which one machine never does. It may restart, be reset, or be brought back from a backup: then it goes on as another
// than before, once. A request that was on its way for long may come after later ones: then it was sent before them, which
// a signature tells. But nobody comes back again and again, after another was heard of, and sends that anew.
const (
	mostReturns       = 2 // that one machine could have, signing its requests
	mostReturnsNoSign = 5 // where nothing tells when a request was sent
	quietPolls        = 16
	mostFaces         = 4
	mostRivalries     = 1 << 16
	// clonedFor is for how many poll intervals one machine has to be alone until the device is one again.
	clonedFor = 10
)

// clones notices where machines take turns. It watches devices only once something odd has come from them, which is
// hardly ever. The zero value is ready for use.
type clones struct {
	watched atomic.Int64 // len(of), to be read without the lock

	mu     sync.Mutex // guards what follows
	of     map[uuid.UUID]*rivalry
	marked map[uuid.UUID]bool // those shown as cloned, as far as this server knows
}

// A rivalry is what is known of the machines that may share an identity.
type rivalry struct {
	faces   []string // those that were seen, the latest last
	kept    string   // the one whose report is kept, as far as this server knows
	sent    time.Time
	returns int // how often one of them came back
	quiet   int // polls since then that came from the same as the one before
}

// faces returns what tells the machine that polls from others, and what the one before it looked like. A device that names
// its instance looks like that. Of others, the sequence tells: one that goes back comes from who has not heard of the later.
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

// look takes in a poll, after which another report was kept, and tells whether it shows that machines take turns.
func (c *clones) look(id uuid.UUID, poll Poll, kept Report) bool {
	now, before := faces(poll, kept)
	late := poll.Sequence != 0 && poll.Sequence < kept.Sequence
	if late && poll.Instance != "" && poll.Sent.IsZero() {
		return false // it may have been held up; a machine goes on with a later sequence, by which it is told
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
		return false // it was held up
	}
	r.sent = poll.Sent
	last := r.faces[len(r.faces)-1]
	if r.kept != before {
		last = before // another server has heard of that one since
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

// same takes in a poll that repeats the one before it.
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

// calm takes in a poll that comes from the same machine as the one before.
func (c *clones) calm(id uuid.UUID, r *rivalry) bool {
	if r.quiet++; r.quiet >= quietPolls {
		delete(c.of, id)
		c.watched.Store(int64(len(c.of)))
	}
	return false
}

// cloned tells that two machines report as this device, or did until a short time before it was last seen, and that no
// operator has said since then that one of them is gone.
func (d Device) cloned(interval time.Duration) bool {
	return d.Twins.After(d.Alone) && d.LastSeen.Sub(d.Twins) < clonedFor*interval
}

// twins takes in that two machines were noticed, and tells of it where nobody has yet.
func (f *Fleet) twins(device Device, now time.Time) {
	f.sightings.complete(&device)
	if !device.cloned(f.options.PollInterval) {
		f.options.Log.Warn("two machines report as one device, in turn: was an image copied after its first start? "+
			"Give one of them a state of its own", "uuid", device.ID, "key-id", device.KeyID, "address", device.IPAddress)
	}
	f.sightings.noteTwins(device.ID, now)
	f.clones.mark(device.ID)
}

// mark keeps that a device is shown as cloned, so that it can be told when that is over.
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

// parted tells of devices that are not cloned any more.
func (f *Fleet) parted(ctx context.Context) {
	f.clones.mu.Lock()
	marked := slices.Collect(maps.Keys(f.clones.marked))
	f.clones.mu.Unlock()
	for _, id := range marked {
		device, err := f.store.Device(ctx, id)
		if err != nil && !errors.Is(err, ErrUnknownDevice) {
			return // it will be asked again
		}
		f.sightings.complete(&device)
		if err == nil && device.cloned(f.options.PollInterval) {
			continue
		}
		f.clones.mu.Lock()
		delete(f.clones.marked, id)
		f.clones.mu.Unlock()
		switch {
		case err != nil: // it was removed
		case device.Twins.After(device.Alone):
			f.options.Log.Info("one machine reports as the device again, alone for ten poll intervals", "uuid", id)
		default:
			f.options.Log.Info("an operator has said that one machine reports as the device", "uuid", id)
		}
	}
}

// SetAlone takes in that an operator knows that one machine alone is the device: it is not shown as cloned until two are
// noticed anew. It returns a *ScopeError if the device is not within the scope.
func (f *Fleet) SetAlone(ctx context.Context, id uuid.UUID, within Scope) error {
	if len(within) > 0 { // what is refused changes nothing; the store checks again
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

// forget makes machines that take turns be noticed anew.
func (c *clones) forget(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, id)
	c.watched.Store(int64(len(c.of)))
}

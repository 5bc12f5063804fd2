package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/google/uuid"
)

// A digest identifies the content of a report. It is the first half of a SHA-256.
type digest [16]byte

// contentOf returns the digest of a report with a sequence. It leaves out times and statistics, which influence no
// answer.
func contentOf(report Report, sequence int64) digest {
	hash := sha256.New()
	var length [8]byte
	number := func(n int64) {
		binary.LittleEndian.PutUint64(length[:], uint64(n))
		hash.Write(length[:])
	}
	text := func(s string) {
		number(int64(len(s)))
		hash.Write([]byte(s))
	}
	text(report.Config.String())
	number(sequence)
	if report.Running != (Running{}) || report.Attempted != (Attempted{}) {
		number(report.Running.Revision)
		text(report.Running.Hash)
		number(report.Attempted.Revision)
		number(int64(report.Attempted.Outcome))
		text(report.Attempted.Path)
		text(report.Attempted.Reason)
		number(report.Attempted.At)
	}
	text(report.Instance)
	var sum [sha256.Size]byte
	return digest(hash.Sum(sum[:0]))
}

// shards is the number of parts of known. Each part has its own lock.
const shards = 64

// known remembers the devices whose last poll was stored and left nothing to do. A poll that repeats it needs no read
// of the store. It takes some 70 bytes for a device, without pointers for the garbage collector to follow.
//
// Its content is as new as the notices that this process has received. It remembers a device only after a poll that was
// the device's only one between begin, before the read of the store, and end. It forgets a device when anything about
// it changes.
type known struct {
	limit int // of a shard
	parts [shards]part
}

type part struct {
	mu   sync.Mutex // guards the fields below
	of   map[uuid.UUID]memory
	busy map[uuid.UUID]*visit // devices with polls under way
	_    [32]byte             // prevents that two locks share a cache line
}

type memory struct {
	content    digest
	generation uint32 // of the snapshot for which there was nothing to do
	point      uint32 // the last point of statistics, in steps since 1970
}

type visit struct {
	polls     int
	contended bool // another poll or a change has arrived meanwhile
}

func newKnown(limit int) *known { return &known{limit: max(limit/shards, 1)} }

func (k *known) part(id uuid.UUID) *part { return &k.parts[id[0]%shards] }

// repeats reports whether a device's last poll had this content and left nothing to do under this snapshot. If so, it also
// records the point of statistics, and reports whether the point differs from the last one.
func (k *known) repeats(id uuid.UUID, content digest, generation, point uint32) (repeats, newPoint bool) {
	p := k.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	last, there := p.of[id]
	if !there || last.generation != generation || last.content != content {
		return false, false
	}
	if point == 0 || last.point == point {
		return true, false
	}
	last.point = point
	p.of[id] = last
	return true, true
}

// begin records that a poll of a device has begun. Call end when it is answered.
func (k *known) begin(id uuid.UUID) {
	p := k.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[uuid.UUID]*visit{}
	}
	present := p.busy[id]
	if present == nil {
		present = &visit{}
		p.busy[id] = present
	}
	if present.polls++; present.polls > 1 {
		present.contended = true
	}
}

// end records that a poll is answered. remember is nil if there was something to do. Otherwise known remembers it,
// unless another poll or a change came meanwhile.
func (k *known) end(id uuid.UUID, remember *memory) {
	p := k.part(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	present := p.busy[id]
	if present.polls--; present.polls == 0 {
		delete(p.busy, id)
	}
	delete(p.of, id)
	if remember == nil || present.contended {
		return
	}
	if p.of == nil {
		p.of = map[uuid.UUID]memory{}
	}
	if len(p.of) >= k.limit {
		for other := range p.of { // devices poll in turn, so all are worth the same
			delete(p.of, other)
			break
		}
	}
	p.of[id] = *remember
}

// forget makes the next poll of each device read the store.
func (k *known) forget(ids []uuid.UUID) {
	for _, id := range ids {
		p := k.part(id)
		p.mu.Lock()
		delete(p.of, id)
		if present := p.busy[id]; present != nil {
			present.contended = true
		}
		p.mu.Unlock()
	}
}

func (k *known) forgetAll() {
	for i := range k.parts {
		p := &k.parts[i]
		p.mu.Lock()
		p.of = nil
		for _, present := range p.busy {
			present.contended = true
		}
		p.mu.Unlock()
	}
}

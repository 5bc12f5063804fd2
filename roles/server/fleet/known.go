package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/google/uuid"
)

// A digest stands for what a device reports: the first half of a SHA-256.
type digest [16]byte

// contentOf digests what a report says under a sequence, but for what makes no difference to any answer: times, statistics.
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

// shards is in how many parts what is known is kept, each with a lock of its own.
const shards = 64

// known remembers the devices whose last poll was kept and left them nothing to do, so that a poll which repeats it costs
// no look at the store. It takes some 70 bytes a device, without pointers for the garbage collector to follow.
//
// What it says is true, as far as this process has heard: a device is remembered only by a poll that was alone with it
// from before it looked at the store (begin, end), and forgotten when anything about it changes.
type known struct {
	limit int // of a shard
	parts [shards]part
}

type part struct {
	mu   sync.Mutex // guards what follows
	of   map[uuid.UUID]memory
	busy map[uuid.UUID]*visit // devices whose polls are under way
	_    [32]byte             // keeps the locks of two shards out of one cache line
}

type memory struct {
	content    digest
	generation uint32 // of the snapshot for which there was nothing to do
	point      uint32 // the last point of statistics, in steps since 1970
}

type visit struct {
	polls     int
	contended bool // by another poll, or a change
}

func newKnown(limit int) *known { return &known{limit: max(limit/shards, 1)} }

func (k *known) part(id uuid.UUID) *part { return &k.parts[id[0]%shards] }

// repeats tells whether a device's last poll had this content, and left nothing to do under this snapshot. The point of
// statistics is taken in; it is new where the last one was another.
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

// begin tells that a device's poll is to be looked at; end has to follow.
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

// end tells that it has been answered. What is to be remembered of it is nil where there was something to do.
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
		for other := range p.of { // devices poll in turn, so none is worth more than another
			delete(p.of, other)
			break
		}
	}
	p.of[id] = *remember
}

// forget makes the next poll of devices look at the store.
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

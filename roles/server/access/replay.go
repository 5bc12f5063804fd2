package access

import (
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What is remembered of a device's requests.
const (
	few  = 4  // for each device
	many = 64 // for a device that sends more in the same time; more in one second are refused

	// spare bounds what all devices together are remembered for beyond few.
	spare = 1 << 20
)

// shards is the number of locks.
const shards = 64

// An outcome of the look for a replay.
type outcome int

const (
	fresh    outcome = iota
	replayed         // the same nonce came before
	behind           // older than what is remembered of the device: it might have come before
	flooded          // too many of one second to remember
)

// A replays remembers the requests of devices for as long as they could be replayed. It needs some 100 bytes for each
// device that was heard of within the window, and 8 MiB for bursts of all of them together: when a device's place is
// full, its oldest request is forgotten, and whatever is not newer than that one is refused from then on. So nothing is
// taken twice, and a flood costs the one who sends it its tolerance for requests that overtake each other.
//
// Only requests whose signature was verified are remembered: nobody but a registered device fills it.
type replays struct {
	window time.Duration
	seed   maphash.Seed
	spare  atomic.Int64
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex // guards what follows
	devices map[uint64]*trail
	swept   int64 // seconds since 1970
}

// A trail is what is remembered of a device.
type trail struct {
	floor uint32 // seconds: nothing of that time or before is taken
	n     uint8  // of first
	first [few]footprint
	rest  []footprint
}

// A footprint is a request: its time, and enough of its nonce. Another nonce that looks the same would be refused; the
// device would take a third.
type footprint struct{ created, nonce uint32 }

func newReplays(window time.Duration) *replays {
	r := &replays{window: window, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].devices = map[uint64]*trail{}
	}
	return r
}

// look tells whether a request may be fresh, and remembers nothing.
func (r *replays) look(keyID, nonce string, created, now time.Time) outcome {
	return r.judge(keyID, nonce, created, now, false)
}

// take tells whether a request is fresh, and remembers it.
func (r *replays) take(keyID, nonce string, created, now time.Time) outcome {
	return r.judge(keyID, nonce, created, now, true)
}

func (r *replays) judge(keyID, nonce string, created, now time.Time, keep bool) outcome {
	device := maphash.String(r.seed, keyID)
	shard := &r.shards[device%shards]
	print := footprint{uint32(created.Unix()), uint32(maphash.String(r.seed, nonce))}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if keep {
		r.sweep(shard, now)
	}
	known := shard.devices[device]
	switch {
	case known == nil && keep:
		known = &trail{}
		shard.devices[device] = known
	case known == nil:
		return fresh
	case slices.Contains(known.first[:known.n], print) || slices.Contains(known.rest, print):
		return replayed
	case print.created <= known.floor:
		return behind
	}
	if !keep {
		return fresh
	}
	return r.keep(known, print)
}

// keep makes room and remembers.
func (r *replays) keep(known *trail, print footprint) outcome {
	if known.n < few {
		known.first[known.n] = print
		known.n++
		return fresh
	}
	// Requests of the last minute may overtake each other, as far as there is room.
	oldest := known.oldest()
	crowded := len(known.rest) >= many-few || r.spare.Load() >= spare
	if !crowded && oldest+60 > print.created {
		known.rest = append(known.rest, print)
		r.spare.Add(1)
		return fresh
	}
	if oldest >= print.created {
		if known.newest() == print.created {
			return flooded
		}
		return behind
	}
	r.forget(known, oldest)
	known.floor = max(known.floor, oldest)
	return r.keep(known, print)
}

// all returns what is remembered, in no order.
func (t *trail) all() iter.Seq[footprint] {
	return func(yield func(footprint) bool) {
		for _, part := range [][]footprint{t.first[:t.n], t.rest} {
			for _, print := range part {
				if !yield(print) {
					return
				}
			}
		}
	}
}

func (t *trail) oldest() uint32 {
	oldest := t.first[0].created
	for print := range t.all() {
		oldest = min(oldest, print.created)
	}
	return oldest
}

func (t *trail) newest() (newest uint32) {
	for print := range t.all() {
		newest = max(newest, print.created)
	}
	return newest
}

// forget drops all that is not after a time.
func (r *replays) forget(known *trail, until uint32) {
	left := make([]footprint, 0, few+len(known.rest))
	for print := range known.all() {
		if print.created > until {
			left = append(left, print)
		}
	}
	r.spare.Add(-int64(len(known.rest)))
	known.n = uint8(copy(known.first[:], left))
	known.rest = nil
	if len(left) > few {
		known.rest = left[few:]
		r.spare.Add(int64(len(known.rest)))
	}
}

// sweep forgets the devices all of whose requests are too old to be taken again, once in a window.
func (r *replays) sweep(shard *shard, now time.Time) {
	if now.Unix()-shard.swept < int64(r.window/time.Second) {
		return
	}
	shard.swept = now.Unix()
	for device, known := range shard.devices {
		if int64(max(known.newest(), known.floor)) < now.Add(-r.window).Unix() {
			r.spare.Add(-int64(len(known.rest)))
			delete(shard.devices, device)
		}
	}
}

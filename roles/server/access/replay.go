package access

import (
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The numbers of requests in memory.
const (
	few  = 4  // of any device
	many = 64 // of a device that sends more; further ones in the same second are refused

	// spare is the number of requests beyond few, of all devices together.
	spare = 1 << 20
)

// shards is the number of locks.
const shards = 64

// An outcome is the result of the check for a replay.
type outcome int

const (
	fresh    outcome = iota
	replayed         // the same nonce came before
	behind           // older than the device's requests in memory: it may be a replay
	flooded          // too many requests in one second
	crowded          // too many devices
)

// A replays remembers the requests of devices for as long as they could be replayed. It uses some 100 bytes for each
// device that sent a request within the window, and at most 8 MiB for bursts of all devices. If a device sends too many
// requests, replays drops the device's oldest one, and refuses requests that are not newer than that one. Thus no
// request is accepted twice, and a device that floods the server only loses requests that overtake each other.
//
// It remembers only verified requests, so that only registered devices use its memory.
type replays struct {
	window time.Duration
	most   int // of devices; 0 means any number
	seed   maphash.Seed
	spare  atomic.Int64
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex // guards the fields below
	devices map[uint64]*trail
	swept   int64 // seconds since 1970
}

// A trail has the remembered requests of a device.
type trail struct {
	floor uint32 // seconds: requests of that time or before are refused
	n     uint8  // of first
	first [few]footprint
	rest  []footprint
}

// A footprint is a request: its time and a part of its nonce. If two nonces share that part, the second request is
// refused, and the device repeats it with another nonce.
type footprint struct{ created, nonce uint32 }

func newReplays(window time.Duration, most int) *replays {
	r := &replays{window: window, most: most, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].devices = map[uint64]*trail{}
	}
	return r
}

// check checks a request without recording it.
func (r *replays) check(keyID, nonce string, created, now time.Time) outcome {
	return r.judge(keyID, nonce, created, now, false)
}

// accept checks a request and records it if it is fresh.
func (r *replays) accept(keyID, nonce string, created, now time.Time) outcome {
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
	case known == nil && keep && r.most > 0 && len(shard.devices) >= r.most/shards:
		return crowded
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
	return r.record(known, print)
}

// record makes room for a request and records it.
func (r *replays) record(known *trail, print footprint) outcome {
	if known.n < few {
		known.first[known.n] = print
		known.n++
		return fresh
	}
	// While there is room, requests of the last minute may overtake each other.
	oldest := known.oldest()
	full := len(known.rest) >= many-few || r.spare.Load() >= spare
	if !full && oldest+60 > print.created {
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
	return r.record(known, print)
}

// all returns the requests in any order.
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

// forget removes the requests up to a time.
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

// sweep removes devices whose requests are all too old to be replayed. It runs once in a window.
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

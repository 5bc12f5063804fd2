package access

import "time"

// Replays is for the tests of what is remembered of requests.
type Replays struct{ r *replays }

// NewReplays returns an empty memory.
func NewReplays(window time.Duration) Replays { return Replays{newReplays(window, 0)} }

// Take names the outcome of a request.
func (r Replays) Take(key, nonce string, created, now time.Time) string {
	looked := r.r.check(key, nonce, created, now)
	taken := r.r.accept(key, nonce, created, now)
	names := map[outcome]string{fresh: "fresh", replayed: "replayed", behind: "behind", flooded: "flooded"}
	if looked != taken && !(looked == fresh && (taken == flooded || taken == behind)) {
		return names[looked] + ", then " + names[taken]
	}
	return names[taken]
}

// Size tells how many devices and how many requests beyond the first few of each are remembered.
func (r Replays) Size() (devices int, spare int64) {
	for i := range r.r.shards {
		devices += len(r.r.shards[i].devices)
	}
	return devices, r.r.spare.Load()
}

// The bounds.
const (
	Few   = few
	Many  = many
	Spare = spare
)

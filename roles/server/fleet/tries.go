package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// tries has the times since when devices have the change of the active release without being in sync with it. The time
// of a device's last report is no substitute, because a drifting device reports something new with each poll. As with
// mover.listens, each server begins again when it starts.
type tries struct {
	mu      sync.Mutex
	release int64
	of      map[uuid.UUID]try
}

// A try is a device's attempt at a target.
type try struct {
	target int64 // the target's wanted.Since
	began  int64 // seconds since 1970
}

// since returns when a device began to try a target of a release, in seconds since 1970: the time of its first report
// that this server has evaluated.
func (t *tries) since(release int64, device uuid.UUID, target, reported int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.release != release {
		t.release, t.of = release, map[uuid.UUID]try{}
	}
	if known, there := t.of[device]; there && known.target == target {
		return min(known.began, reported)
	}
	t.of[device] = try{target, reported}
	return reported
}

// end removes the try of a device.
func (t *tries) end(device uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, device)
}

package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// tries has since when devices have the change of the active release, and are not in sync with it. A device that drifts reports
// something new with each poll: the time of its last report does not tell that. As with mover.listens, each server begins anew
// when it starts.
type tries struct {
	mu      sync.Mutex
	release int64
	of      map[uuid.UUID]try
}

// A try is one of a target.
type try struct {
	target int64 // the wanted.Since of it
	began  int64 // in seconds since 1970
}

// since returns when a device began to try a target of a release, in seconds since 1970: the time of the first report of it that
// this server has looked at.
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

// end forgets the try of a device.
func (t *tries) end(device uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, device)
}

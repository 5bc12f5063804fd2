package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// ids draws the UUIDs of devices. They are random (version 4), but familySize of them in succession begin with the same 16
// random bits. An index is sorted by UUID: devices that register together stand side by side in it, so that a commit writes
// few of its pages. The other 106 bits are drawn anew each time: nobody guesses a UUID from another.
type ids struct {
	mu     sync.Mutex // guards what follows
	family [2]byte
	left   int // how many more UUIDs the family gets
}

const familySize = 256

func (d *ids) next() (uuid.UUID, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return uuid.UUID{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		copy(d.family[:], id[:])
		d.left = familySize
	}
	d.left--
	copy(id[:], d.family[:])
	return id, nil
}

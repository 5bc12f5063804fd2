package fleet

import (
	"sync"

	"github.com/google/uuid"
)

// ids draws the UUIDs of devices. They are random (version 4), but each family of familySize successive ones begins
// with the same 16 random bits. An index is sorted by UUID, so devices that register together are neighbours in it, and
// a commit writes few pages. The other 106 bits are random for each UUID, so that nobody can guess one from another.
type ids struct {
	mu     sync.Mutex // guards the fields below
	family [2]byte
	left   int // UUIDs that the family still gets
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

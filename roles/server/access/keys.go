package access

import (
	"context"
	"crypto/rsa"
	"errors"
	"sync"

	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// remembered is of how many devices it is remembered how they sign: some 700 bytes each, parsed keys included. The store
// is asked for others.
const remembered = 1 << 17

// A Holder is a device, as far as its right to speak goes.
type Holder struct {
	ID        uuid.UUID
	KeyID     string // sign.KeyID of its key; "" for a device that does not sign
	PublicKey string // PEM
	Status    string // serverapi.Active, Pending or Revoked
}

// Devices is what a gate has to know of the fleet.
type Devices interface {
	// Holder returns the device whose key this is, or ErrUnknownDevice.
	Holder(ctx context.Context, keyID string) (Holder, error)
	// HolderByID returns a device, or ErrUnknownDevice.
	HolderByID(ctx context.Context, id uuid.UUID) (Holder, error)
}

// ErrUnknownDevice is what Devices says of who is no device.
var ErrUnknownDevice = errors.New("no such device is registered")

// known remembers whose a key is, and which devices do not sign. Whoever changes a device's key has to tell, with forget.
type known struct {
	devices Devices

	mu    sync.Mutex // guards what follows
	keys  *simplelru.LRU[string, owned]
	ids   map[uuid.UUID]string                // the keys' IDs of those in keys
	plain *simplelru.LRU[uuid.UUID, struct{}] // devices that do not sign
	age   uint64                              // grows with what is forgotten
}

// An owned key.
type owned struct {
	key   *rsa.PublicKey
	owner uuid.UUID
}

func newKnown(devices Devices, size int) (*known, error) {
	k := &known{devices: devices, ids: map[uuid.UUID]string{}}
	var err error
	if k.keys, err = simplelru.NewLRU(size, func(_ string, value owned) { delete(k.ids, value.owner) }); err != nil {
		return nil, err
	}
	k.plain, err = simplelru.NewLRU[uuid.UUID, struct{}](size, nil)
	return k, err
}

// owner returns the key of an ID and whose it is, or ErrUnknownDevice.
func (k *known) owner(ctx context.Context, keyID string) (owned, error) {
	k.mu.Lock()
	found, ok := k.keys.Get(keyID)
	age := k.age
	k.mu.Unlock()
	if ok {
		return found, nil
	}
	holder, err := k.devices.Holder(ctx, keyID)
	if err != nil {
		return owned{}, err
	}
	found.owner = holder.ID
	if found.key, err = sign.ParsePublicKey(holder.PublicKey); err != nil {
		return owned{}, ErrUnknownDevice // cannot be: it has signed with it
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.age == age { // else it may have changed since it was read
		k.keys.Add(keyID, found)
		k.ids[found.owner] = keyID
	}
	return found, nil
}

// signs tells whether a device signs. One that there is not does not: what it is told is up to others.
func (k *known) signs(ctx context.Context, id uuid.UUID) (bool, error) {
	k.mu.Lock()
	_, plain := k.plain.Get(id)
	age := k.age
	k.mu.Unlock()
	if plain {
		return false, nil
	}
	holder, err := k.devices.HolderByID(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownDevice):
		return false, nil
	case err != nil:
		return false, err
	case holder.KeyID != "":
		return true, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.age == age {
		k.plain.Add(id, struct{}{})
	}
	return false, nil
}

func (k *known) forget(ids []uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.age++
	for _, id := range ids {
		if keyID, ok := k.ids[id]; ok {
			k.keys.Remove(keyID)
		}
		k.plain.Remove(id)
	}
}

func (k *known) forgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.age++
	k.keys.Purge()
	k.plain.Purge()
	clear(k.ids)
}

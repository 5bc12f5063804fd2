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

// remembered is the number of devices whose keys are in memory, some 700 bytes each. The gate reads the keys of other
// devices from the store.
const remembered = 1 << 17

// A Holder has what the gate needs to know of a device.
type Holder struct {
	ID        uuid.UUID
	KeyID     string // sign.KeyID of its key; "" for a device that does not sign
	PublicKey string // PEM
	Status    string // serverapi.Active, Pending or Revoked
}

// Devices finds devices for a gate.
type Devices interface {
	// Holder returns the device whose key this is, or ErrUnknownDevice.
	Holder(ctx context.Context, keyID string) (Holder, error)
	// HolderByID returns a device, or ErrUnknownDevice.
	HolderByID(ctx context.Context, id uuid.UUID) (Holder, error)
}

// ErrUnknownDevice is the error of Devices for a device that is not registered.
var ErrUnknownDevice = errors.New("no such device is registered")

// A keyCache remembers which device has a key, and which devices do not sign. Call forget after a change of a device's
// key.
type keyCache struct {
	devices Devices

	mu    sync.Mutex // guards the fields below
	keys  *simplelru.LRU[string, owned]
	ids   map[uuid.UUID]string                // device -> ID of its key, for the devices in keys
	plain *simplelru.LRU[uuid.UUID, struct{}] // devices that do not sign
	age   uint64                              // grows with each forget
}

// An owned key is a key and its device.
type owned struct {
	key   *rsa.PublicKey
	owner uuid.UUID
}

func newKeyCache(devices Devices, size int) (*keyCache, error) {
	k := &keyCache{devices: devices, ids: map[uuid.UUID]string{}}
	var err error
	if k.keys, err = simplelru.NewLRU(size, func(_ string, value owned) { delete(k.ids, value.owner) }); err != nil {
		return nil, err
	}
	k.plain, err = simplelru.NewLRU[uuid.UUID, struct{}](size, nil)
	return k, err
}

// owner returns a key and its device by the key's ID, or ErrUnknownDevice.
func (k *keyCache) owner(ctx context.Context, keyID string) (owned, error) {
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
		return owned{}, ErrUnknownDevice // cannot happen: the device has signed with it
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.age == age { // otherwise the key may have changed since the read
		k.keys.Add(keyID, found)
		k.ids[found.owner] = keyID
	}
	return found, nil
}

// signs reports whether a device signs. An unregistered device does not.
func (k *keyCache) signs(ctx context.Context, id uuid.UUID) (bool, error) {
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

func (k *keyCache) forget(ids []uuid.UUID) {
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

func (k *keyCache) forgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.age++
	k.keys.Purge()
	k.plain.Purge()
	clear(k.ids)
}

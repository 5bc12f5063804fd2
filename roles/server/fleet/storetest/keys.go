package storetest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// knowsKeys registers a device again with its key, as a device does that has missed the answer.
func knowsKeys(t *testing.T, store fleet.Store) {
	first, other := Device(t), Device(t)
	first.Labels = fleet.Labels{"site": "berlin"}
	add(t, store, first)
	add(t, store, other)
	again := Device(t)
	again.Identity = fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: first.PublicKeyRSA, Arch: "arm64"}
	again.Labels, again.Status = fleet.Labels{"site": "paris"}, fleet.Pending
	kept, err := store.Add(t.Context(), again, 0)
	ok(t, err)
	same(t, first, kept)
	holds(t, store, first)
	_, err = store.Device(t.Context(), again.ID)
	is(t, err, fleet.ErrUnknownDevice)
	counts(t, store, 2)

	const key = "-----BEGIN PUBLIC KEY-----\n" + anyKey + "-----END PUBLIC KEY-----\n"
	written := Device(t)
	written.PublicKeyRSA, written.KeyID = key, ""
	add(t, store, written)
	for _, text := range waysOfWriting(t, key) {
		again := Device(t)
		again.PublicKeyRSA, again.KeyID = text, ""
		kept, err := store.Add(t.Context(), again, 0)
		ok(t, err)
		same(t, written, kept)
	}
	ok(t, store.Remove(t.Context(), written.ID, by("ann", 1)))

	const crowd = 8 // number of concurrent calls
	rival := Device(t)
	var wait sync.WaitGroup
	ids := make([]uuid.UUID, crowd)
	for i := range crowd {
		device := Device(t)
		device.Identity, device.KeyID = rival.Identity, rival.KeyID
		wait.Go(func() {
			kept, err := store.Add(t.Context(), device, 0)
			if err != nil {
				t.Error(err)
			}
			ids[i] = kept.ID
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one key, several devices: %v", ids)
		}
	}
	counts(t, store, 3)

	for range 2 { // devices without a key are all different
		keyless := Device(t)
		keyless.PublicKeyRSA, keyless.KeyID = "", ""
		add(t, store, keyless)
	}
	counts(t, store, 5)
}

func findsByKey(t *testing.T, store fleet.Store) {
	first, keyless := Device(t), Device(t)
	keyless.KeyID = ""
	add(t, store, first)
	add(t, store, keyless)
	got, err := store.DeviceByKey(t.Context(), first.KeyID)
	ok(t, err)
	same(t, first, got)
	for _, unknown := range []string{"", "another"} {
		_, err = store.DeviceByKey(t.Context(), unknown)
		is(t, err, fleet.ErrUnknownDevice)
	}
}

func replacesKey(t *testing.T, store fleet.Store) {
	device, other := Device(t), Device(t)
	add(t, store, device)
	add(t, store, other)
	old := device
	ok(t, store.SetKey(t.Context(), device.ID, device.KeyID, "new PEM", "new key"))
	device.PublicKeyRSA, device.KeyID = "new PEM", "new key"
	holds(t, store, device)
	_, err := store.DeviceByKey(t.Context(), old.KeyID)
	is(t, err, fleet.ErrUnknownDevice)
	is(t, store.SetKey(t.Context(), device.ID, old.KeyID, "third PEM", "third key"), fleet.ErrStale)
	is(t, store.SetKey(t.Context(), device.ID, device.KeyID, other.PublicKeyRSA, other.KeyID), fleet.ErrExists)
	holds(t, store, device)
	// Nobody has the old key any more: it registers a new device.
	newcomer := Device(t)
	newcomer.Identity, newcomer.KeyID = old.Identity, old.KeyID
	add(t, store, newcomer)
}

// keepsRevokedKeys removes revoked devices. Their keys must stay revoked.
func keepsRevokedKeys(t *testing.T, store fleet.Store) {
	stolen, unsigned, active := Device(t), Device(t), Device(t)
	unsigned.PublicKeyRSA, unsigned.KeyID = "-----BEGIN PUBLIC KEY-----\n"+anyKey+"-----END PUBLIC KEY-----\n", ""
	for _, device := range []fleet.Device{stolen, unsigned, active} {
		add(t, store, device)
	}
	for _, device := range []fleet.Device{stolen, unsigned} {
		ok(t, store.SetStatus(t.Context(), device.ID, fleet.Revoked, nil))
	}
	for i, device := range []fleet.Device{stolen, unsigned, active} {
		ok(t, store.Remove(t.Context(), device.ID, by("ann", i)))
	}
	keys := []fleet.RevokedKey{{KeyID: stolen.KeyID, Device: stolen.ID, At: by("", 0).At},
		{KeyID: fleet.KeyID(unsigned.PublicKeyRSA), Device: unsigned.ID, At: by("", 1).At}}
	revoked := func(want ...fleet.RevokedKey) {
		t.Helper()
		got, err := store.RevokedKeys(t.Context())
		ok(t, err)
		same(t, want, got)
	}
	revoked(keys...)
	refused := func(device fleet.Device) {
		t.Helper()
		again := device
		again.ID = uuid.New()
		_, err := store.Add(t.Context(), again, 0)
		is(t, err, fleet.ErrRevoked)
		_, err = store.Add(t.Context(), again, 1000)
		is(t, err, fleet.ErrRevoked)
		_, err = store.DeviceByKey(t.Context(), device.KeyID)
		is(t, err, fleet.ErrRevoked)
	}
	refused(stolen)
	for _, text := range append(waysOfWriting(t, unsigned.PublicKeyRSA), unsigned.PublicKeyRSA) {
		again := Device(t)
		again.PublicKeyRSA, again.KeyID = text, ""
		_, err := store.Add(t.Context(), again, 0)
		is(t, err, fleet.ErrRevoked)
	}
	unsigned.KeyID = fleet.KeyID(unsigned.PublicKeyRSA)
	refused(unsigned)
	add(t, store, active) // it was not revoked
	is(t, store.SetKey(t.Context(), active.ID, active.KeyID, stolen.PublicKeyRSA, stolen.KeyID), fleet.ErrRevoked)
	holds(t, store, active)
	is(t, store.AllowKey(t.Context(), active.KeyID), fleet.ErrUnknownKey)
	ok(t, store.AllowKey(t.Context(), stolen.KeyID))
	is(t, store.AllowKey(t.Context(), stolen.KeyID), fleet.ErrUnknownKey)
	revoked(keys[1])
	_, err := store.DeviceByKey(t.Context(), stolen.KeyID)
	is(t, err, fleet.ErrUnknownDevice)
	stolen.ID = uuid.New()
	add(t, store, stolen)
	refused(unsigned)
}

// waysOfWriting returns other notations of a public key.
func waysOfWriting(t *testing.T, key string) (texts []string) {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		t.Fatal("no PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	ok(t, err)
	other := pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(parsed.(*rsa.PublicKey))}
	plain := string(pem.EncodeToMemory(&other))
	block.Headers = map[string]string{"Comment": "a key"}
	return []string{plain, string(pem.EncodeToMemory(block)), strings.TrimSpace(key), "\n " + key + " \n\n", strings.ReplaceAll(key, "\n", "\r\n"),
		strings.ReplaceAll(key, "\n", "\r"), strings.ReplaceAll(key, "\n", "\n\t"), strings.ReplaceAll(plain, "\n", " \r\n"),
		strings.Replace(key, "MIIB", "MI\nIB", 1), strings.Replace(key, "MIIB", "MI IB", 1)}
}

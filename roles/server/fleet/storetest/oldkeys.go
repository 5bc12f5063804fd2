package storetest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// OldKeys returns public keys as in an old database, which found devices by the text of the key: some have odd
// notations, and some are the same key.
func OldKeys(t *testing.T) (ids []uuid.UUID, keys []string) {
	t.Helper()
	plain := make([]string, 4)
	for i := range plain {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		ok(t, err)
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		ok(t, err)
		plain[i] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	keys = []string{odd(plain[0]), plain[1], odd(plain[1]), waysOfWriting(t, plain[2])[0], odd(plain[2]), plain[2], "no PEM", plain[3]}
	for range keys {
		ids = append(ids, uuid.New())
	}
	return ids, keys
}

func odd(key string) string { return strings.ReplaceAll(key, "\n", "\r\n") }

// FindsOldKeys registers devices of OldKeys again, with their keys in the present and in new notations: the first
// device of each key is found, and all devices exist.
func FindsOldKeys(t *testing.T, store fleet.Store, ids []uuid.UUID, keys []string) {
	t.Helper()
	first := map[string]uuid.UUID{}
	for i, key := range keys {
		if same := fleet.SameKey(key); first[same] == uuid.Nil {
			first[same] = ids[i]
		}
		device, err := store.Device(t.Context(), ids[i])
		if err != nil || device.PublicKeyRSA != key {
			t.Errorf("device %d has %q, %v", i, device.PublicKeyRSA, err)
		}
	}
	for key, id := range first {
		for _, text := range []string{key, odd(key), " " + odd(key)} {
			if fleet.SameKey(text) != key {
				continue // it is not PEM
			}
			again := Device(t)
			again.PublicKeyRSA, again.KeyID = text, ""
			if kept, err := store.Add(t.Context(), again, 0); err != nil || kept.ID != id {
				t.Errorf("%q is found as %s, %v; want %s", text, kept.ID, err, id)
			}
		}
	}
	counts(t, store, len(ids))
}

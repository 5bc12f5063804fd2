package fleetsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"testing"

	"aspects-poc/roles/serverapi/sign"
)

// The keys are made by hand, so crypto/rsa is to be judge.
func TestKeysSignAsRSA(t *testing.T) {
	made := newRing(10, 1)
	seen := map[string]bool{}
	for i := range 10 {
		key := made.key(i)
		if key.public.N.BitLen() != keyBits || seen[key.public.N.String()] {
			t.Fatalf("key %d has %d bits, or is another's", i, key.public.N.BitLen())
		}
		seen[key.public.N.String()] = true
		for n := range 20 {
			sum := sha512.Sum512([]byte{byte(i), byte(n)})
			signature, err := key.Sign(nil, sum[:], &rsa.PSSOptions{SaltLength: sha512.Size, Hash: crypto.SHA512})
			if err != nil {
				t.Fatal(err)
			}
			if err := rsa.VerifyPSS(&key.public, crypto.SHA512, sum[:], signature, nil); err != nil {
				t.Fatalf("key %d, signature %d: %v", i, n, err)
			}
		}
		text, err := key.publicPEM()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign.ParsePublicKey(text); err != nil {
			t.Error(err)
		}
	}
	again := newRing(10, 1)
	if !again.key(7).public.Equal(&made.key(7).public) {
		t.Error("the same seed makes another key")
	}
	if _, err := made.key(0).Sign(nil, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("another algorithm was taken")
	}
}

// BenchmarkSign compares a signature of a simulated device with a real one's.
func BenchmarkSign(b *testing.B) {
	sum := sha512.Sum512(nil)
	options := &rsa.PSSOptions{SaltLength: sha512.Size, Hash: crypto.SHA512}
	simulated := newRing(1, 1).key(0)
	b.Run("simulated", func(b *testing.B) {
		for b.Loop() {
			if _, err := simulated.Sign(nil, sum[:], options); err != nil {
				b.Fatal(err)
			}
		}
	})
	real, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("real", func(b *testing.B) {
		for b.Loop() {
			if _, err := real.Sign(rand.Reader, sum[:], options); err != nil {
				b.Fatal(err)
			}
		}
	})
}

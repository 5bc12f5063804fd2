package fleetsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/bits"
	mathrand "math/rand/v2"
	"slices"
)

// The keys of simulated devices. A server cannot distinguish them from real ones: they have 2048 bits and exponent
// 65537. But each is a product of 32 primes of 64 bits. Such keys are quick to make, many times quicker to sign with
// than those of two primes, and easy to break. Use them only for load.
const (
	keyBits  = 2048
	perHalf  = keyBits / 2 / 64
	exponent = 65537
)

// A half is a product of primes. Two halves make a key.
type half struct {
	primes       [perHalf]uint64
	exponents    [perHalf]uint64   // of signing, modulo each prime
	coefficients [perHalf]*big.Int // for the Chinese remainder theorem
	product      *big.Int
}

// A ring makes many keys from few halves: n lefts and n rights make n times n different keys.
type ring struct{ lefts, rights []*half }

// newRing makes the halves for a number of keys. Equal seeds make equal halves.
func newRing(keys int, seed uint64) *ring {
	var bytes [32]byte
	binary.LittleEndian.PutUint64(bytes[:], seed)
	random := mathrand.NewChaCha8(bytes)
	n := 1
	for n*n < keys {
		n++
	}
	r := &ring{}
	for range n {
		r.lefts = append(r.lefts, newHalf(random))
		r.rights = append(r.rights, newHalf(random))
	}
	return r
}

func newHalf(random *mathrand.ChaCha8) *half {
	h := &half{product: big.NewInt(1)}
	number := func(n uint64) *big.Int { return new(big.Int).SetUint64(n) }
	for i := range h.primes {
		h.primes[i] = newPrime(random)
		h.exponents[i] = new(big.Int).ModInverse(big.NewInt(exponent), number(h.primes[i]-1)).Uint64()
		h.product.Mul(h.product, number(h.primes[i]))
	}
	for i, prime := range h.primes {
		rest := new(big.Int).Div(h.product, number(prime))
		inverse := new(big.Int).ModInverse(rest, number(prime))
		if inverse == nil {
			return newHalf(random) // a prime was drawn twice
		}
		h.coefficients[i] = rest.Mul(rest, inverse)
	}
	return h
}

// newPrime draws a prime whose six highest bits are set, so that 32 of them have 2048 bits. The exponent has an inverse
// for it.
func newPrime(random *mathrand.ChaCha8) uint64 {
	for {
		n := random.Uint64() | 0xfc<<56 | 1
		if n%exponent != 1 && new(big.Int).SetUint64(n).ProbablyPrime(10) {
			return n
		}
	}
}

// A key is a crypto.Signer of RSA-PSS with SHA-512.
type key struct {
	left, right *half
	// inverse of left's product modulo right's.
	inverse *big.Int
	public  rsa.PublicKey
}

// key returns the i-th key.
func (r *ring) key(i int) *key {
	left, right := r.lefts[i%len(r.lefts)], r.rights[i/len(r.lefts)%len(r.rights)]
	return &key{
		left: left, right: right,
		inverse: new(big.Int).ModInverse(left.product, right.product),
		public:  rsa.PublicKey{N: new(big.Int).Mul(left.product, right.product), E: exponent},
	}
}

var _ crypto.Signer = (*key)(nil)

// Public implements crypto.Signer.
func (k *key) Public() crypto.PublicKey { return &k.public }

// Sign implements crypto.Signer.
func (k *key) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	pss, ok := options.(*rsa.PSSOptions)
	if !ok || options.HashFunc() != crypto.SHA512 || len(digest) != sha512.Size || pss.SaltLength != sha512.Size {
		return nil, errors.New("simulated devices sign with RSA-PSS and SHA-512")
	}
	if bits.UintSize != 64 {
		return nil, errors.New("simulated devices need a machine of 64 bits")
	}
	message := new(big.Int).SetBytes(encodePSS(digest, k.public.N.BitLen()-1))
	a, b := k.left.power(message), k.right.power(message)
	// The result is a modulo one half and b modulo the other.
	b.Sub(b, a).Mul(b, k.inverse).Mod(b, k.right.product)
	return a.Add(a, b.Mul(b, k.left.product)).FillBytes(make([]byte, keyBits/8)), nil
}

// power returns the message to the signing exponent, modulo the half's product.
func (h *half) power(message *big.Int) *big.Int {
	words := message.Bits()
	sum, part := new(big.Int), new(big.Int)
	for i, prime := range h.primes {
		part.SetUint64(power(residue(words, prime), h.exponents[i], prime))
		sum.Add(sum, part.Mul(part, h.coefficients[i]))
	}
	return sum.Mod(sum, h.product)
}

// residue returns a number, in words of 64 bits, modulo another.
func residue(words []big.Word, modulus uint64) (rest uint64) {
	for _, word := range slices.Backward(words) {
		_, rest = bits.Div64(rest, uint64(word), modulus)
	}
	return rest
}

// power returns base^exponent modulo modulus.
func power(base, exponent, modulus uint64) uint64 {
	times := func(a, b uint64) uint64 {
		high, low := bits.Mul64(a, b)
		return bits.Rem64(high, low, modulus)
	}
	result := uint64(1)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			result = times(result, base)
		}
		base = times(base, base)
	}
	return result
}

// encodePSS is EMSA-PSS-ENCODE of RFC 8017 (section 9.1.1) with a salt as long as the hash. crypto/rsa does not export
// it.
func encodePSS(digest []byte, size int) []byte {
	encoded := make([]byte, (size+7)/8)
	database := encoded[:len(encoded)-sha512.Size-1]
	salt := database[len(database)-sha512.Size:]
	_, _ = rand.Read(salt) // rand.Read never fails
	database[len(database)-len(salt)-1] = 1
	hash := sha512.New()
	hash.Write(make([]byte, 8))
	hash.Write(digest)
	hash.Write(salt)
	seed := hash.Sum(nil)
	for counter, done := uint32(0), 0; done < len(database); counter++ {
		hash.Reset()
		hash.Write(seed)
		_ = binary.Write(hash, binary.BigEndian, counter) // a hash accepts every write
		for _, mask := range hash.Sum(nil) {
			if done < len(database) {
				database[done] ^= mask
				done++
			}
		}
	}
	database[0] &= 0xff >> (8*len(encoded) - size)
	copy(encoded[len(database):], seed)
	encoded[len(encoded)-1] = 0xbc
	return encoded
}

// publicPEM returns the public key in the form in which a device sends it.
func (k *key) publicPEM() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&k.public)
	if err != nil {
		return "", fmt.Errorf("cannot write a public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// Keys returns keys for simulated devices of other packages: the signers, and the public keys as devices send them.
func Keys(number int, seed uint64) (signers []crypto.Signer, public []string, err error) {
	made := newRing(number, seed)
	for i := range number {
		key := made.key(i)
		text, err := key.publicPEM()
		if err != nil {
			return nil, nil, err
		}
		signers, public = append(signers, key), append(public, text)
	}
	return signers, public, nil
}

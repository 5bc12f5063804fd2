// Package seal seals the secrets of the fleet for its database, with AES-256-GCM and keys that are not in the database.
// Its main type is Ring. Package fleet decides what is sealed, and package server stores the keys.
//
// With one key, the same value at the same place always gives the same sealed text. So a store can compare values that
// it cannot read. The nonce is a keyed hash of place and value (as in RFC 5297, SIV). Two equal texts reveal that the
// value is the same, and nothing else.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeySize is the smallest size of a key, and the size of a new one, in bytes.
const KeySize = 32

// The errors of Open.
var (
	ErrUnknownKey = errors.New("it is sealed with a key that the key file does not have")
	ErrForged     = errors.New("it was changed, or moved here from elsewhere")
)

// ErrOtherKey means that the secrets of a database are sealed with a key that is not given.
var ErrOtherKey = errors.New("the secrets in the database are sealed with another key")

// ErrBeside means that the secrets need another seal, which a caller beside a running server must not make.
var ErrBeside = errors.New("the secrets in the database are sealed for another confdb-schema, or with another key")

// lineMark begins the line of a key in a key file.
const lineMark = "aspects-secret-key "

// A Ring has the keys of a database, at least one. The first key seals, and all keys open. It is immutable.
type Ring struct{ keys []*key }

// A key has the values that are derived from the bytes in a key file.
type key struct {
	bytes []byte
	id    string
	aead  cipher.AEAD

	nonces, digests, shown []byte // keys of HMAC-SHA-256
}

const (
	idSize    = 4
	nonceSize = 12
)

func newKey(text []byte) (*key, error) {
	if len(text) < KeySize {
		return nil, fmt.Errorf("a key has %d bytes or more, such as those of head -c %d /dev/urandom; this one has %d", KeySize, KeySize, len(text))
	}
	derive := func(purpose string) []byte {
		derived, _ := hkdf.Key(sha256.New, text, nil, "aspects-poc secrets 1: "+purpose, KeySize) // fails beyond 8160 bytes
		return derived
	}
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	id := base64.RawURLEncoding.EncodeToString(derive("id")[:idSize])
	return &key{bytes: bytes.Clone(text), id: id, aead: aead, nonces: derive("nonce"), digests: derive("digest"),
		shown: derive("shown digest")}, nil
}

// Random returns a Ring with one new key.
func Random() *Ring {
	text := make([]byte, KeySize)
	_, _ = rand.Read(text) // rand.Read never fails
	made, _ := newKey(text)
	return &Ring{[]*key{made}}
}

// Parse parses a key file: lines of "aspects-secret-key" and a key in base64url, between comments (#) and empty lines;
// or else one key, which is the whole content of the file.
func Parse(file []byte) (*Ring, error) {
	ring := &Ring{}
	if !bytes.Contains(file, []byte(lineMark)) {
		only, err := newKey(file)
		if err != nil {
			return nil, err
		}
		return &Ring{[]*key{only}}, nil
	}
	for i, line := range strings.Split(string(file), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		text, is := strings.CutPrefix(line, lineMark)
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if !is || err != nil {
			return nil, fmt.Errorf("line %d is no key: want %q and base64url", i+1, strings.TrimSpace(lineMark))
		}
		next, err := newKey(key)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		ring.keys = append(ring.keys, next)
	}
	if len(ring.keys) == 0 {
		return nil, errors.New("it has no line with a key")
	}
	return ring, nil
}

// Text returns the key file of a Ring.
func (r *Ring) Text() []byte {
	var text bytes.Buffer
	text.WriteString("# The keys of the secrets in the fleet server's database. The first seals, the others open what was\n" +
		"# sealed before, such as old backups. Who has a key and the database has the secrets.\n")
	for _, key := range r.keys {
		text.WriteString(lineMark + base64.RawURLEncoding.EncodeToString(key.bytes) + "\n")
	}
	return text.Bytes()
}

// Rotated returns a Ring with a new key in front of those of r.
func (r *Ring) Rotated() *Ring { return &Ring{append(Random().keys, r.keys...)} }

// ID returns the ID of the sealing key, which reveals nothing about the key.
func (r *Ring) ID() string { return r.keys[0].id }

// Has reports whether the Ring has the key with an ID.
func (r *Ring) Has(id string) bool {
	return slices.ContainsFunc(r.keys, func(key *key) bool { return key.id == id })
}

// Several reports whether there is more than one key.
func (r *Ring) Several() bool { return len(r.keys) > 1 }

// Seal returns a value as sealed text in base64url. Open opens it only at the same place.
func (r *Ring) Seal(place string, value []byte) string {
	key := r.keys[0]
	nonce := hashAt(key.nonces, place, value)[:nonceSize]
	id, _ := base64.RawURLEncoding.DecodeString(key.id)
	sealed := append(append(make([]byte, 0, idSize+nonceSize+len(value)+key.aead.Overhead()), id...), nonce...)
	return base64.RawURLEncoding.EncodeToString(key.aead.Seal(sealed, nonce, value, []byte(place)))
}

// KeyOf returns the ID of the key of a sealed text.
func KeyOf(text string) string {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sealed) < idSize {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sealed[:idSize])
}

// Open returns the value of a sealed text. Errors: ErrUnknownKey, ErrForged.
func (r *Ring) Open(place, text string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sealed) < idSize+nonceSize {
		return nil, ErrForged
	}
	id, known := KeyOf(text), false
	for _, key := range r.keys {
		if key.id != id {
			continue
		}
		known = true
		value, err := key.aead.Open(nil, sealed[idSize:idSize+nonceSize], sealed[idSize+nonceSize:], []byte(place))
		if err == nil {
			return value, nil
		}
	}
	if !known {
		return nil, ErrUnknownKey
	}
	return nil, ErrForged
}

// hashAt returns a keyed hash of a value at a place.
func hashAt(key []byte, place string, value []byte) []byte {
	hash := hmac.New(sha256.New, key)
	_ = binary.Write(hash, binary.LittleEndian, int64(len(place))) // a hash accepts every write
	hash.Write([]byte(place))
	hash.Write(value)
	return hash.Sum(nil)
}

// Digest returns a short digest of a value. Nobody without the key can find the value by trial. It is the same at all
// places, so nobody may see it: see Shown.
func (r *Ring) Digest(value []byte) string { return r.keys[0].digest(value) }

// Digests returns the digests of a value with all keys.
func (r *Ring) Digests(value []byte) []string {
	var list []string
	for _, key := range r.keys {
		list = append(list, key.digest(value))
	}
	return list
}

// Shown returns the digest for people, at a place, of a digest of Digest. Digests of different places cannot be
// compared.
func (r *Ring) Shown(place, digest string) string {
	return short(hashAt(r.keys[0].shown, place, []byte(digest)))
}

func (k *key) digest(value []byte) string {
	hash := hmac.New(sha256.New, k.digests)
	hash.Write(value)
	return short(hash.Sum(nil))
}

func short(hash []byte) string {
	const length = 10
	return base64.RawURLEncoding.EncodeToString(hash)[:length]
}

package assertion

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha3"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// version is the first byte of keys and signatures; an OpenPGP packet follows it.
const version = 0x1

// A Key is a public key that signs assertions.
type Key struct {
	ID      string // the SHA3-384 of its bytes, base64 as in URLs
	Account string // account ID of its owner; "" for a bare key, which may sign for any account
	Name    string // name that its owner gave it

	key          *rsa.PublicKey
	since, until time.Time // zero is unbounded
}

// ReadKey reads a public key in one of three forms: an account-key assertion, the account-key-request that `snap
// export-key NAME --account ID` prints, or the bare key of `snap export-key NAME`. The caller trusts the key: ReadKey does not
// verify the store's signature of an account-key.
func ReadKey(text []byte) (*Key, error) {
	if !bytes.Contains(text, []byte(":")) { // base64 has none
		return parseKey(text)
	}
	list, err := DecodeAll(text)
	if err != nil {
		return nil, err
	}
	var found *Key
	for _, a := range list {
		if a.Type() != "account-key" && a.Type() != "account-key-request" {
			continue // `snap known` and the store put the account beside its key
		}
		if found != nil {
			return nil, errors.New("there are several account keys: give each a file of its own")
		}
		if found, err = accountKey(a); err != nil {
			return nil, fmt.Errorf("%s: %w", a, err)
		}
	}
	if found == nil {
		return nil, errors.New("there is no account-key among the assertions")
	}
	return found, nil
}

func accountKey(a *Assertion) (*Key, error) {
	key, err := parseKey(a.body)
	if err != nil {
		return nil, err
	}
	if said := a.Header("public-key-sha3-384"); said != key.ID {
		return nil, errors.New("public key does not match provided key id")
	}
	if key.Account = a.Header("account-id"); key.Account == "" {
		return nil, errors.New(`"account-id" header is mandatory`)
	}
	key.Name = a.Header("name")
	for name, at := range map[string]*time.Time{"since": &key.since, "until": &key.until} {
		if text := a.Header(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return nil, fmt.Errorf("%q header is not a RFC3339 date: %w", name, err)
			}
		}
	}
	if a.Type() == "account-key-request" { // signed with the key itself
		return key, key.verify(a)
	}
	return key, nil
}

// parseKey parses a key in the form that the body of an account-key has.
func parseKey(text []byte) (*Key, error) {
	raw, err := unpack(text)
	if err != nil {
		return nil, fmt.Errorf("cannot decode public key: %w", err)
	}
	public, err := readPublicKey(raw[1:])
	if err != nil {
		return nil, fmt.Errorf("cannot decode public key: %w", err)
	}
	sum := sha3.Sum384(raw)
	return &Key{ID: base64.RawURLEncoding.EncodeToString(sum[:]), key: public}, nil
}

// unpack decodes base64 in lines, and checks and removes the version.
func unpack(text []byte) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "").Replace(string(bytes.TrimSpace(text))))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot decode base64: %w", err)
	case len(raw) < 2:
		return nil, io.ErrUnexpectedEOF
	case raw[0] != version:
		return nil, fmt.Errorf("unsupported format version: %d", raw[0])
	}
	return raw, nil
}

// verify returns an error unless the assertion's signature was made with the key.
func (k *Key) verify(a *Assertion) error {
	raw, err := unpack(a.sign)
	if err != nil {
		return fmt.Errorf("cannot decode signature: %w", err)
	}
	found, err := readSignature(raw[1:])
	if err != nil {
		return fmt.Errorf("cannot decode signature: %w", err)
	}
	if !found.by(k.key, a.content) {
		return errors.New("failed signature verification: RSA verification failure")
	}
	return nil
}

// Keys are trusted keys. The zero value has none.
type Keys struct{ byID map[string]*Key }

// NewKeys returns a set of keys.
func NewKeys(list ...*Key) Keys {
	k := Keys{byID: map[string]*Key{}}
	for _, key := range list {
		k.byID[key.ID] = key
	}
	return k
}

// Check verifies the signature of an assertion. It returns an error unless one of the keys made it, while the key was valid, and
// the key belongs to the account in authority-id. The error is an *UnknownKeyError if there is no such key.
func (k Keys) Check(a *Assertion) error {
	key := k.byID[a.SignKey()]
	authority := a.Header("authority-id")
	if key == nil || key.Account != "" && key.Account != authority {
		return &UnknownKeyError{Key: a.SignKey(), Authority: authority}
	}
	if err := key.verify(a); err != nil {
		return err
	}
	text := a.Header("timestamp")
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q header is not a RFC3339 date: %w", "timestamp", err)
	}
	if at.Before(key.since) || !key.until.IsZero() && !at.Before(key.until) {
		return fmt.Errorf("%s assertion timestamp %q outside of signing key validity", a.Type(), text)
	}
	return nil
}

// An UnknownKeyError means that the key that signed is not trusted for the authority.
type UnknownKeyError struct{ Key, Authority string }

func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("no matching public key %q for signature by %q", e.Key, e.Authority)
}

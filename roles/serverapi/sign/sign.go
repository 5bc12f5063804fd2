// Package sign is what devices and fleet server agree on about signatures: a profile of HTTP Message Signatures
// (RFC 9421) with Content-Digest (RFC 9530), and the device's half of it.
//
// A device's request carries one signature, labelled "device", by its RSA key with RSA-PSS and SHA-512. It covers
// method, authority, path, the query if there is one, and the body's digest; its parameters are created, nonce, keyid
// and alg, of which keyid is KeyID of the public key. Device-side use is a transport around another:
//
//	signer, err := sign.NewSigner(key)
//	client, err := serverapi.NewClient(url, serverapi.Options{Transport: sign.NewTransport(signer, sign.Options{})})
//
// Whether a signature is to be believed is the server's business: here are its text and its arithmetic.
package sign

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// The profile.
const (
	Label     = "device"         // of the signature
	Algorithm = "rsa-pss-sha512" // the only one: what the request says of it must agree, and chooses nothing
)

// The headers of RFC 9421 and RFC 9530.
const (
	InputHeader     = "Signature-Input"
	SignatureHeader = "Signature"
	DigestHeader    = "Content-Digest"
	AcceptHeader    = "Accept-Signature"
)

// Components are what a signature has to cover. "@query" comes to them where the request has a query.
func Components() []string { return []string{"@method", "@authority", "@path", "content-digest"} }

// Accept is the value of Accept-Signature that asks for a signature of this profile.
const Accept = Label + `=("@method" "@authority" "@path" "content-digest");created;nonce;keyid;alg="` + Algorithm + `"`

// Bits of the keys that are taken. A longer key would multiply the server's work for each request.
const (
	MinBits = 2048
	MaxBits = 4096
)

// ErrKey is the reason why a key is not taken.
var ErrKey = errors.New("it is no RSA public key of 2048 to 4096 bits in PEM")

// ErrSignature is that of a signature that is not the key's over the text.
var ErrSignature = errors.New("the signature is not the key's over this text")

// ParsePublicKey reads a public key as devices send it: PEM, PKIX ("PUBLIC KEY") or PKCS #1 ("RSA PUBLIC KEY"), with
// nothing but white space around it. Every failure is ErrKey.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil || len(rest) > 0 {
		return nil, ErrKey
	}
	var parsed any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || !usable(key) {
		return nil, ErrKey
	}
	return key, nil
}

// usable bounds what a verification costs, and keeps out exponents that make forging easy.
func usable(key *rsa.PublicKey) bool {
	bits := key.N.BitLen()
	return bits >= MinBits && bits <= MaxBits && key.N.Bit(0) == 1 && key.E == 65537
}

// KeyID names a public key: base64url, without padding, of the SHA-256 of its SubjectPublicKeyInfo (DER).
func KeyID(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot name a key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// KeyIDLength is the length of a KeyID.
const KeyIDLength = 43

// Digest is the value of Content-Digest for a body.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// pss is how Algorithm is computed.
var pss = &rsa.PSSOptions{SaltLength: sha512.Size, Hash: crypto.SHA512}

// Verify tells whether signature is the key's over text, with Algorithm; if not, the error is ErrSignature.
func Verify(key *rsa.PublicKey, text string, signature []byte) error {
	sum := sha512.Sum512([]byte(text))
	if rsa.VerifyPSS(key, crypto.SHA512, sum[:], signature, pss) != nil {
		return ErrSignature
	}
	return nil
}

// Package sign signs requests of devices and verifies signatures. It implements a profile of HTTP Message Signatures
// (RFC 9421) with Content-Digest (RFC 9530), for devices and the fleet server. Its main types are Signer, Transport
// and Input.
//
// A device's request has one signature, labelled "device", by the device's RSA key with RSA-PSS and SHA-512. It
// covers method, authority, path, the query if there is one, and the body's digest. Its parameters are created,
// nonce, keyid and alg; keyid is the KeyID of the public key. Devices use a transport:
//
//	signer, err := sign.NewSigner(key)
//	client, err := serverapi.NewClient(url, serverapi.Options{Transport: sign.NewTransport(signer, sign.Options{})})
//
// The server decides which signatures it accepts: this package checks no nonces, times or known keys. Package access of
// the server does.
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
	"net/http"
	"strings"
)

// The profile.
const (
	Label     = "device"         // label of the signature
	Algorithm = "rsa-pss-sha512" // the only algorithm; a request must name it or none
)

// The headers of RFC 9421 and RFC 9530.
const (
	InputHeader     = "Signature-Input"
	SignatureHeader = "Signature"
	DigestHeader    = "Content-Digest"
	AcceptHeader    = "Accept-Signature"
)

// Components returns the components that a signature must cover. A request with a query also needs "@query".
func Components() []string { return []string{"@method", "@authority", "@path", "content-digest"} }

// Accept is the value of Accept-Signature for this profile.
const Accept = Label + `=("@method" "@authority" "@path" "content-digest");created;nonce;keyid;alg="` + Algorithm + `"`

// Sizes of accepted keys in bits. A longer key would multiply the server's work for each request.
const (
	MinBits = 2048
	MaxBits = 4096
)

// ErrKey means that a key is not accepted.
var ErrKey = errors.New("it is no RSA public key of 2048 to 4096 bits in PEM")

// ErrSignature means that a signature does not match the key and the text.
var ErrSignature = errors.New("the signature is not the key's over this text")

// ParsePublicKey parses a public key in PEM: PKIX ("PUBLIC KEY") or PKCS #1 ("RSA PUBLIC KEY"), with only white space
// around it. The error is ErrKey.
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

// usable reports whether a key is acceptable. It limits the cost of a verification, and excludes exponents that make
// forging easy.
func usable(key *rsa.PublicKey) bool {
	bits := key.N.BitLen()
	return bits >= MinBits && bits <= MaxBits && key.N.Bit(0) == 1 && key.E == 65537
}

// KeyID returns the ID of a public key: unpadded base64url of the SHA-256 of its SubjectPublicKeyInfo (DER).
func KeyID(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot name a key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Proof returns the proof in the answer to a signed request: base64url of a SHA-256 over the signed text (Message.Base)
// and the public key. A request contains not the key but its KeyID, so the proof shows that the server knows the
// device. The text has the request's nonce and authority, and the digest of its body, so the proof is valid for one
// request only.
func Proof(key *rsa.PublicKey, signed string) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot prove to know a key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("aspects-poc answer\n"+signed+"\n"), der...))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Proves reports whether proof proves that a server knows key and has got the request sent. A Transport must have sent
// the request.
func Proves(proof string, sent *http.Request, key *rsa.PublicKey) bool {
	if proof == "" || sent == nil {
		return false
	}
	input, err := ParseInput(sent.Header)
	if err != nil {
		return false
	}
	text, err := Received(sent).Base(input)
	if err != nil {
		return false
	}
	right, err := Proof(key, text)
	return err == nil && proof == right
}

// KeyIDLength is the length of a KeyID.
const KeyIDLength = 43

// Digest returns the value of Content-Digest for a body.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// pss are the parameters of RSA-PSS for Algorithm.
var pss = &rsa.PSSOptions{SaltLength: sha512.Size, Hash: crypto.SHA512}

// Verify returns nil if signature is the key's over text by Algorithm. The error is ErrSignature.
func Verify(key *rsa.PublicKey, text string, signature []byte) error {
	sum := sha512.Sum512([]byte(text))
	if rsa.VerifyPSS(key, crypto.SHA512, sum[:], signature, pss) != nil {
		return ErrSignature
	}
	return nil
}

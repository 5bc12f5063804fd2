package fleet

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
)

// KeyID returns the ID of a public key in signatures: the SHA-256 of its SubjectPublicKeyInfo, in base64url without
// padding. It is "" for a text that is no public key in PEM: clients of the original may register any text, and do not
// sign.
func KeyID(publicKey string) string {
	der := keyInfo(publicKey)
	if der == nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Names returns the KeyID of the device's public key, also for a device that does not sign.
func (d Device) Names() string { return cmp.Or(d.KeyID, KeyID(d.PublicKeyRSA)) }

// SameKey returns a text that is equal for all notations of an RSA public key: PKIX or PKCS #1, with or without
// headers, with any line ends and white space. It returns any other text unchanged.
func SameKey(publicKey string) string {
	der := keyInfo(publicKey)
	if der == nil {
		return publicKey
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// keyInfo returns the SubjectPublicKeyInfo of a public key in PEM; nil for another text.
func keyInfo(publicKey string) []byte {
	var lines []string
	for line := range strings.FieldsFuncSeq(publicKey, func(char rune) bool { return char == '\r' || char == '\n' }) {
		lines = append(lines, strings.TrimSpace(line)) // package pem expects lines without indentation
	}
	block, _ := pem.Decode([]byte(strings.Join(lines, "\n")))
	if block == nil {
		return nil
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if _, ok := key.(*rsa.PublicKey); !ok || err != nil {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil
	}
	return der
}

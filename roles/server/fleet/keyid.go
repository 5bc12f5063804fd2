package fleet

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
)

// KeyID returns what names a public key in signatures: the SHA-256 of its SubjectPublicKeyInfo, in base64url without
// padding. It is "" for what is no public key in PEM: clients of the original may register any text, and sign nothing.
func KeyID(publicKey string) string {
	block, _ := pem.Decode([]byte(publicKey))
	if block == nil {
		return ""
	}
	switch block.Type {
	case "PUBLIC KEY":
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return ""
		}
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return ""
		}
		if block.Bytes, err = x509.MarshalPKIXPublicKey(key); err != nil {
			return ""
		}
	default:
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

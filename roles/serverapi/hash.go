package serverapi

import (
	"crypto/sha256"
	"encoding/base64"

	"aspects-poc/internal/jsonvalue"

	"github.com/go-json-experiment/json/jsontext"
)

// HashPrefix is the prefix of hashes of targets.
const HashPrefix = "sha-256="

// Hash returns the hash of a target: "sha-256=" and the base64 of the SHA-256 of its canonical JSON (RFC 8785).
// Canonical numbers are IEEE 754 doubles, so that different integers beyond 2^53 may have the same hash.
func (c Config) Hash() (string, error) {
	if c == nil {
		c = Config{}
	}
	text, err := jsonvalue.Encode(c)
	if err != nil {
		return "", err
	}
	return HashJSON(text)
}

// HashJSON is Config.Hash for JSON text. It returns a *jsontext.SyntacticError for invalid JSON.
func HashJSON(text []byte) (string, error) {
	value := jsontext.Value(append([]byte(nil), text...))
	if err := value.Canonicalize(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(value)
	return HashPrefix + base64.StdEncoding.EncodeToString(sum[:]), nil
}

package serverapi

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"
)

// HashPrefix is what hashes of targets begin with.
const HashPrefix = "sha-256="

// Hash returns the hash of a target: "sha-256=" and the base64 of the SHA-256 of its canonical form (RFC 8785). The
// canonical form knows numbers as IEEE 754 doubles: integers beyond 2^53 may share a hash.
func (c Config) Hash() (string, error) {
	if c == nil {
		c = Config{}
	}
	text, err := encode(c)
	if err != nil {
		return "", err
	}
	return HashJSON(text)
}

// HashJSON is Config.Hash of a text. It returns a *jsontext.SyntacticError for one that is not well-formed JSON.
func HashJSON(text []byte) (string, error) {
	value := jsontext.Value(append([]byte(nil), text...))
	if err := value.Canonicalize(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(value)
	return HashPrefix + base64.StdEncoding.EncodeToString(sum[:]), nil
}

package assertion

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	schemadoc "aspects-poc/internal/document"
)

// Unsigned is a confdb-schema, in the form that `snap sign` takes, JSON, as an assertion that nobody has signed: see
// UnsignedText.
func Unsigned(document json.RawMessage) (*Assertion, error) {
	text, err := UnsignedText(document)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

// UnsignedText lays out a JSON form that `snap sign` takes, of whatever type, as an assertion with a signature that has
// the shape of one and signs nothing.
func UnsignedText(document json.RawMessage) ([]byte, error) {
	var headers map[string]any
	if err := json.Unmarshal(document, &headers); err != nil {
		return nil, fmt.Errorf("cannot read the assertion's JSON: %w", err)
	}
	body, isText := headers["body"].(string)
	if !isText {
		return nil, errors.New("the assertion's JSON has no body")
	}
	kind, _ := headers["type"].(string)
	for _, name := range []string{"body", "body-length", "sign-key-sha3-384"} {
		delete(headers, name)
	}
	content, err := schemadoc.Content(headers, keys[kind], body, base64.RawURLEncoding.EncodeToString(make([]byte, 48)))
	if err != nil {
		return nil, err
	}
	sign := append([]byte{version}, make([]byte, 383)...)
	return fmt.Appendf(content, "\n\n%s\n", base64.StdEncoding.EncodeToString(sign)), nil
}

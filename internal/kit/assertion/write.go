package assertion

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	schemadoc "aspects-poc/internal/document"
)

// Unsigned returns an unsigned confdb-schema, JSON in the form for `snap sign`, as an assertion; see UnsignedText.
func Unsigned(document json.RawMessage) (*Assertion, error) {
	text, err := UnsignedText(document)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

// UnsignedText returns the text of an assertion for JSON in the form for `snap sign`, of any type. In the place of the signature it
// has a placeholder of the same form. It returns an error if an assertion cannot have the headers.
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

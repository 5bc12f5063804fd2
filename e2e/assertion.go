// Package e2e proves the README on a real snapd, in a throw-away machine: `make e2e`.
//
// The tests proper have the build tag e2e and use vm.sh; what is here without the tag is what they lean on.
package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// AssertionText lays out the JSON form of a confdb-schema, which `snap sign` takes, as snapd keeps assertions: headers,
// body, signature. The signature has the shape of one and signs nothing. snapd checks signatures when an assertion is
// acknowledged, which on a machine without store and brand cannot be had, and not when it reads its own database.
func AssertionText(document json.RawMessage) ([]byte, error) {
	var headers map[string]any
	if err := json.Unmarshal(document, &headers); err != nil {
		return nil, fmt.Errorf("cannot read the assertion's JSON: %w", err)
	}
	body, isText := headers["body"].(string)
	if !isText {
		return nil, errors.New("the assertion's JSON has no body")
	}
	delete(headers, "body")
	headers["body-length"] = fmt.Sprint(len(body))
	headers["sign-key-sha3-384"] = base64.RawURLEncoding.EncodeToString(make([]byte, 48))

	var text bytes.Buffer
	// snapd begins with the type and ends with the key; the order in between is for people.
	order := []string{"type", "authority-id", "revision", "account-id", "name"}
	last := []string{"timestamp", "body-length", "sign-key-sha3-384"}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !slices.Contains(order, name) && !slices.Contains(last, name) {
			order = append(order, name)
		}
	}
	for _, name := range append(order, last...) {
		if value, found := headers[name]; found {
			if err := writeHeader(&text, name+":", value, ""); err != nil {
				return nil, fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	fmt.Fprintf(&text, "\n%s\n\n%s\n", body, base64.StdEncoding.EncodeToString(make([]byte, 512)))
	return text.Bytes(), nil
}

// WithView returns the JSON form of a confdb-schema with one view more, which shows parts of the storage as they are. It
// panics if document is none.
func WithView(document json.RawMessage, view string, parts ...string) json.RawMessage {
	var headers map[string]any
	if err := json.Unmarshal(document, &headers); err != nil {
		panic(fmt.Sprintf("internal error: confdb-schema: %v", err))
	}
	var rules []any
	for _, part := range parts {
		rules = append(rules, map[string]any{"request": part, "storage": part})
	}
	headers["views"].(map[string]any)[view] = map[string]any{"rules": rules}
	document, err := json.Marshal(headers)
	if err != nil {
		panic(fmt.Sprintf("internal error: confdb-schema: %v", err))
	}
	return document
}

// writeHeader writes "name: text", or a list or map below its name; within is the indentation of intro.
func writeHeader(text *bytes.Buffer, intro string, value any, within string) error {
	switch value := value.(type) {
	case string:
		if strings.Contains(value, "\n") {
			return errors.New("text of several lines is not supported")
		}
		fmt.Fprintf(text, "%s%s %s\n", within, intro, value)
	case []any:
		fmt.Fprintf(text, "%s%s\n", within, intro)
		for _, item := range value {
			if err := writeHeader(text, "-", item, within+"  "); err != nil {
				return err
			}
		}
	case map[string]any:
		fmt.Fprintf(text, "%s%s\n", within, intro)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if err := writeHeader(text, key+":", value[key], within+"  "); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%v is neither text nor a list or map of texts", value)
	}
	return nil
}

package assertion

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	delete(headers, "body")
	headers["body-length"] = fmt.Sprint(len(body))
	headers["sign-key-sha3-384"] = base64.RawURLEncoding.EncodeToString(make([]byte, 48))

	var text strings.Builder
	// The order is that of snap sign.
	order := []string{"type", "authority-id", "revision", "account-id", "name"}
	last := []string{"body-length", "sign-key-sha3-384"}
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
	if body != "" {
		text.WriteString("\n" + body + "\n")
	}
	sign := append([]byte{version}, make([]byte, 383)...)
	fmt.Fprintf(&text, "\n%s\n", base64.StdEncoding.EncodeToString(sign))
	return []byte(text.String()), nil
}

// writeHeader writes "name: text", or a list or map below its name; within is the indentation of intro.
func writeHeader(text *strings.Builder, intro string, value any, within string) error {
	switch value := value.(type) {
	case string:
		if !strings.Contains(value, "\n") {
			fmt.Fprintf(text, "%s%s %s\n", within, intro, value)
			return nil
		}
		fmt.Fprintf(text, "%s%s\n", within, intro)
		for line := range strings.SplitSeq(value, "\n") {
			fmt.Fprintf(text, "%s%s%s\n", within, multiline, line)
		}
	case []any:
		fmt.Fprintf(text, "%s%s\n", within, intro)
		for _, item := range value {
			if err := writeHeader(text, "-", item, within+step); err != nil {
				return err
			}
		}
	case map[string]any:
		fmt.Fprintf(text, "%s%s\n", within, intro)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if err := writeHeader(text, key+":", value[key], within+step); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%v is neither text nor a list or map of texts", value)
	}
	return nil
}

package registrycmd

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/jsonvalue"
)

// A parseMode selects how the text of a value is parsed.
type parseMode int

const (
	looseJSON  parseMode = iota // JSON if it parses, else a string
	strictJSON                  // must be JSON
	stringOnly                  // the text itself
)

func valueMode(typed, asString bool) parseMode {
	switch {
	case typed:
		return strictJSON
	case asString:
		return stringOnly
	default:
		return looseJSON
	}
}

// parseValue parses a value. It returns JSON shapes, with numbers as json.Number.
func parseValue(text string, mode parseMode) (any, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%q is not UTF-8", text)
	}
	if mode == stringOnly {
		return text, nil
	}
	value, err := decodeJSON(text)
	switch {
	case err == nil:
		return value, nil
	case mode == strictJSON:
		return nil, fmt.Errorf("failed to parse JSON: %w", err)
	default:
		return text, nil
	}
}

func decodeJSON(text string) (any, error) {
	var value any
	if err := jsonvalue.Decode([]byte(text), &value); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return value, nil
}

// splitPair splits KEY=VALUE at the first "=".
func splitPair(word string) (key, text string, err error) {
	key, text, found := strings.Cut(word, "=")
	if !found || key == "" {
		return "", "", errors.New("want KEY=VALUE")
	}
	return key, text, nil
}

// encode returns a value as JSON with sorted keys and without HTML escapes. indent is "\t", or "" for one line.
func encode(value any, indent string) (string, error) {
	text, err := jsonvalue.EncodeLines(value, indent)
	return string(text), err
}

package serverapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ReadSecret reads the value of a named secret for a command, and returns it as JSON. The value is a text without its
// last newline, or with isJSON a JSON value. ReadSecret returns an error for more than most bytes. Its errors do not
// show the value.
func ReadSecret(in io.Reader, isJSON bool, most int64) (json.RawMessage, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > most:
		return nil, fmt.Errorf("it is longer than %d bytes", most)
	case isJSON && !json.Valid(text):
		return nil, ErrNoJSONSecret
	case isJSON:
		return text, nil
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty")
	case !utf8.Valid(text):
		return nil, errors.New("it is no text in UTF-8")
	}
	return json.Marshal(string(text))
}

// ErrNoJSONSecret means that a value is not JSON although it should be.
var ErrNoJSONSecret = errors.New("it is no JSON value (--json)")

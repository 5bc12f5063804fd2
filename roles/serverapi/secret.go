package serverapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ReadSecret reads the value of a named secret as commands take it, and returns it as JSON: a text, of which one newline at the
// end is removed, or with isJSON a JSON value. It reads most bytes. No error shows any of the value.
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

// ErrNoJSONSecret is the error of a value that should be JSON.
var ErrNoJSONSecret = errors.New("it is no JSON value (--json)")

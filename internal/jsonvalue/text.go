package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Decode decodes a JSON text, with numbers as json.Number. It refuses text behind the value.
func Decode(text []byte, into any) error { return decode(text, into, false, true) }

// DecodeKnown is Decode that also refuses members that into has no field for.
func DecodeKnown(text []byte, into any) error { return decode(text, into, true, true) }

// DecodeFirst is Decode that ignores what is behind the value.
func DecodeFirst(text []byte, into any) error { return decode(text, into, false, false) }

func decode(text []byte, into any, known, whole bool) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if known {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(into); err != nil || !whole {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) { // decoder.More would accept a closing bracket
		return errors.New("more text behind the value")
	}
	return nil
}

// Encode is json.Marshal without escapes for HTML. The text is one line, without a line feed.
func Encode(value any) ([]byte, error) {
	text, err := EncodeLines(value, "")
	return bytes.TrimSuffix(text, []byte("\n")), err
}

// EncodeLines returns the text for a file or a terminal: without escapes for HTML, with a line feed at the end, and with
// a line for each value unless indent is empty.
func EncodeLines(value any, indent string) ([]byte, error) {
	var text bytes.Buffer
	if err := Write(&text, value, indent); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// Write writes the text of EncodeLines. It writes nothing if the value has none.
func Write(w io.Writer, value any, indent string) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	return encoder.Encode(value)
}

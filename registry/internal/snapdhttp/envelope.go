package snapdhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The types of an envelope.
const (
	TypeSync  = "sync"  // the result is here
	TypeAsync = "async" // the result will be in a change
	TypeError = "error" // refused; can come with HTTP status 200
)

// A Response is one answer of snapd, without its envelope's decoration.
type Response struct {
	Type   string          // TypeSync, TypeAsync or TypeError
	Status int             // HTTP status
	Result json.RawMessage // of TypeSync: the result; of TypeError: the refusal
	Change string          // of TypeAsync: ID of the change, never empty
}

// DecodeResponse reads an envelope. Anything that is not one is an error: an answer that cannot be told to be a
// success must not become an empty value.
func DecodeResponse(status int, text []byte) (*Response, error) {
	var envelope struct {
		Type   string          `json:"type"`
		Result json.RawMessage `json:"result"`
		Change string          `json:"change"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, fmt.Errorf("answer with HTTP status %d is not snapd's: %w", status, err)
	}
	response := &Response{Type: envelope.Type, Status: status, Result: envelope.Result, Change: envelope.Change}
	switch envelope.Type {
	case TypeSync, TypeError:
	case TypeAsync:
		if envelope.Change == "" {
			return nil, errors.New("asynchronous answer names no change")
		}
	default:
		return nil, fmt.Errorf("answer with HTTP status %d is of unknown type %q", status, envelope.Type)
	}
	return response, nil
}

// A Refusal is an answer of TypeError.
type Refusal struct {
	Status  int             // HTTP status; 0 for one that was found in a change
	Kind    string          // "" in all dialects before 2.71, and for most errors since
	Message string          // snapd's words
	Value   json.RawMessage // depends on Kind; for "unsuccessful" stdout, stderr and exit-code
}

// Refusal returns what was refused, or nil if the answer is not of TypeError.
func (r *Response) Refusal() *Refusal {
	if r.Type != TypeError {
		return nil
	}
	var result struct {
		Message string          `json:"message"`
		Kind    string          `json:"kind"`
		Value   json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(r.Result, &result); err != nil || result.Message == "" {
		result.Message = fmt.Sprintf("HTTP status %d without a message", r.Status)
	}
	return &Refusal{Status: r.Status, Kind: result.Kind, Message: result.Message, Value: result.Value}
}

// Decode reads JSON into dst with numbers as json.Number, and refuses text behind it.
func Decode(text []byte, dst any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(dst); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) { // More takes a closing bracket for the end
		return errors.New("text after the JSON value")
	}
	return nil
}

// Object reads a JSON object as JSON shapes. Null and everything else that is no object is an error.
func Object(text []byte) (map[string]any, error) {
	var object map[string]any
	if err := Decode(text, &object); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	return object, nil
}

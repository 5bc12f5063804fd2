package snapdhttp

import (
	"encoding/json"
	"errors"
	"fmt"

	"aspects-poc/internal/jsonvalue"
)

// The types of an envelope.
const (
	TypeSync  = "sync"  // the answer has the result
	TypeAsync = "async" // a change will have the result
	TypeError = "error" // a refusal; its HTTP status can be 200
)

// A Response is one answer of snapd.
type Response struct {
	Type   string          // TypeSync, TypeAsync or TypeError
	Status int             // HTTP status
	Result json.RawMessage // TypeSync: the result; TypeError: the refusal
	Change string          // TypeAsync: ID of the change, never empty
}

// DecodeResponse decodes an envelope. It returns an error for any other text, which therefore never becomes an empty value.
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

// A Refusal is the content of a TypeError answer.
type Refusal struct {
	Status  int             // HTTP status; 0 for a refusal from a change
	Kind    string          // "" before 2.71, and for most errors since
	Message string          // snapd's words
	Hook    string          // hook whose words Message has, as NAME of SNAP; "" for snapd's own words
	Value   json.RawMessage // depends on Kind; for "unsuccessful": stdout, stderr and exit-code
}

// Refusal returns snapd's refusal, or nil if the type is not TypeError.
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

// Object decodes a JSON object to JSON shapes. Null and other values are an error.
func Object(text []byte) (map[string]any, error) {
	var object map[string]any
	if err := jsonvalue.Decode(text, &object); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	return object, nil
}

package view

import (
	"fmt"
	"strings"
)

// A Kind is the kind of an Error.
type Kind string

// The kinds of errors.
const (
	NoView               Kind = "no-view"
	NoMatch              Kind = "no-match"
	NoData               Kind = "no-data"
	BadRequest           Kind = "bad-request"
	Invalid              Kind = "schema"
	UnconstrainedParams  Kind = "unconstrained-params"
	UnmatchedConstraints Kind = "unmatched-constraints"
	Unauthorized         Kind = "unauthorized"
	Other                Kind = "other"
)

// An Error is the error of a read or write.
type Error struct {
	Kind    Kind
	Message string // in snapd's words
	Path    string // storage path of a schema violation; "" for the top level
	Reason  string // the cause alone, the last part of Message
}

func (e *Error) Error() string { return e.Message }

// fail returns an error "cannot OP REQUESTS through ID: REASON". Nil requests mean the whole view.
func (v *View) fail(kind Kind, op string, requests []string, reason string) *Error {
	message := "cannot " + op + " " + v.id
	if requests != nil {
		message = fmt.Sprintf("cannot %s %s through %s", op, quoted(requests), v.id)
	}
	return &Error{Kind: kind, Message: message + ": " + reason, Reason: reason}
}

// bad returns an error about a malformed request or value. The request is in plain quotes, not escaped.
func (v *View) bad(op, request string, reason string) *Error {
	return &Error{Kind: BadRequest, Reason: reason,
		Message: fmt.Sprintf(`cannot %s "%s" through confdb view %s: %s`, op, request, v.id, reason)}
}

func quoted(requests []string) string { return `"` + strings.Join(requests, `", "`) + `"` }

func other(err error) *Error {
	return &Error{Kind: Other, Message: err.Error(), Reason: err.Error()}
}

// goType returns the Go type that snapd would use for a JSON shape.
func goType(value any) string {
	switch value.(type) {
	case nil:
		return "<nil>"
	case bool:
		return "bool"
	case string:
		return "string"
	case []any:
		return "[]interface {}"
	case map[string]any:
		return "map[string]interface {}"
	}
	return "float64"
}

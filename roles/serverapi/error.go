package serverapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An Error is a server's refusal: an answer with a status other than 200 and 204.
type Error struct {
	Op      string // what was asked for: "register", "poll", …
	Server  string // the server's address
	Status  int    // of HTTP
	Problem Problem
	// RetryAfter is how long the server asks to wait before the next request; zero when it does not say.
	RetryAfter time.Duration
}

// Error names the act, the server, the status and what the server says about it, field by field.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "cannot %s: %s answers %d", e.Op, e.Server, e.Status)
	if title := http.StatusText(e.Status); title != "" {
		text.WriteString(" " + title)
	}
	if e.Problem.Detail != "" {
		text.WriteString(": " + e.Problem.Detail)
	}
	for i, field := range e.Problem.Errors {
		if strings.Contains(e.Problem.Detail, field.Message) {
			continue // the detail says it already
		}
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&text, "%s%s: %s", separator, field.Field, field.Message)
	}
	return text.String()
}

// Temporary tells that the same request may succeed later: the server is overloaded, failing or starting.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented
}

// IsNotRegistered tells that the server does not know the device: it has to register (again).
func IsNotRegistered(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return false
	}
	return refused.Problem.Detail == NotRegistered || refused.Problem.Detail == RegistrationAbsent
}

// IsProblem tells that the server refused with a problem of a type, one of the Problem… constants.
func IsProblem(err error, kind string) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Problem.Type == kind
}

// newError reads a refusal. The body need not be a problem: a proxy in between may answer in HTML, and the detail of
// the original's validation errors was a list.
func newError(op, server string, response *http.Response, content []byte) *Error {
	refused := &Error{
		Op:         op,
		Server:     server,
		Status:     response.StatusCode,
		Problem:    Problem{Title: http.StatusText(response.StatusCode), Status: response.StatusCode},
		RetryAfter: retryAfter(response.Header),
	}
	var fields struct {
		Type   string          `json:"type"`
		Title  string          `json:"title"`
		Detail json.RawMessage `json:"detail"`
		Errors []FieldProblem  `json:"errors"`
	}
	if json.Unmarshal(content, &fields) != nil {
		return refused
	}
	refused.Problem.Type = fields.Type
	refused.Problem.Errors = fields.Errors
	if fields.Title != "" {
		refused.Problem.Title = fields.Title
	}
	if json.Unmarshal(fields.Detail, &refused.Problem.Detail) != nil {
		refused.Problem.Detail = string(fields.Detail)
	}
	return refused
}

// retryAfter reads Retry-After, in either of its forms. A date is taken relative to the answer's own, so that a device
// with a wrong clock waits as long as meant.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(sent))
}

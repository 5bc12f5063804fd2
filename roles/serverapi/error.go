package serverapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/plain"
)

// MaxRetryAfter is the longest pause that a device accepts from a server. A server with a single wrong answer does not
// lose its devices.
const MaxRetryAfter = time.Hour

// The limits of the texts of a refusal. The texts go into logs.
const (
	maxDetail = 1000 // bytes of a text
	maxFields = 10
)

// An Error is a refusal by the server: an answer with a status other than 200 and 204.
type Error struct {
	Op      string // the operation, such as "register" or "poll"
	Server  string // the server's address
	Status  int    // HTTP status
	Problem Problem
	// RetryAfter is how long the server asks to wait before the next request, at most MaxRetryAfter; zero if it does not
	// say.
	RetryAfter time.Duration
}

// Error returns the operation, the server, the status and the server's reason, field by field.
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
			continue // the detail contains the field
		}
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&text, "%s%s: %s", separator, field.Field, field.Message)
	}
	return text.String()
}

// Temporary reports whether the same request may succeed later: the server is overloaded, failing or starting.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented
}

// IsNotRegistered reports whether the server does not know the device. The device then registers again.
func IsNotRegistered(err error) bool {
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return false
	}
	return refused.Problem.Detail == NotRegistered || refused.Problem.Detail == RegistrationAbsent
}

// IsProblem reports whether the server refused with a problem of this type, one of the Problem… constants.
func IsProblem(err error, kind string) bool {
	var refused *Error
	return errors.As(err, &refused) && refused.Problem.Type == kind
}

// newError returns the Error for an answer. Its body may be anything: a proxy may answer in HTML, and the validation
// errors of the original's server have a list as detail.
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
	if decode(content, &fields) != nil {
		return refused
	}
	refused.Problem.Type = fields.Type
	refused.Problem.Errors = fields.Errors[:min(len(fields.Errors), maxFields)]
	for i, field := range refused.Problem.Errors {
		refused.Problem.Errors[i] = FieldProblem{Field: clip(field.Field), Message: clip(field.Message)}
	}
	if fields.Title != "" {
		refused.Problem.Title = clip(fields.Title)
	}
	if json.Unmarshal(fields.Detail, &refused.Problem.Detail) != nil {
		refused.Problem.Detail = string(fields.Detail)
	}
	refused.Problem.Detail = clip(refused.Problem.Detail)
	return refused
}

// clip shortens a text of a refusal for logs and messages.
func clip(text string) string { return plain.Clip(text, maxDetail) }

// retryAfter parses Retry-After in both forms. A date is relative to the answer's own Date, so that a wrong clock of
// the device does not matter.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if digits := strings.TrimLeft(value, "0123456789"); value != "" && digits == "" {
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return MaxRetryAfter // a number that does not fit
		}
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(0, until.Sub(sent)), MaxRetryAfter)
}

package facts

import "net/http"

// An Error is a refusal in the words of snapd's REST API. Every refusal of a request is an Error.
type Error struct {
	Status  int    // HTTP status
	Kind    string // "option-not-available" and the like; "" for most
	Message string
	Value   any // for some kinds: JSON shapes with more about it
}

func (e *Error) Error() string { return e.Message }

// The kinds of refusal.
const (
	KindLoginRequired      = "login-required"
	KindAssertionNotFound  = "assertion-not-found"
	KindOptionNotAvailable = "option-not-available"
	KindOptionNotFound     = "option-not-found"
	KindUnsuccessful       = "unsuccessful"
	KindSnapNotFound       = "snap-not-found"
	KindSnapNotInstalled   = "snap-not-installed"
)

// BadRequest returns a refusal with status 400.
func BadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message}
}

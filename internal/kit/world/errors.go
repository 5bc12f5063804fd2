package world

import (
	"errors"
	"net/http"

	"aspects-poc/registry/confdb"
)

// An Error is a refusal as snapd's REST API words it. Every refusal of a World's method that a request can cause is one.
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

func badRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message}
}

func internal(message string) *Error {
	return &Error{Status: http.StatusInternalServerError, Message: message}
}

// refusal turns an error of the engine into the one that snapd's REST API answers with. read says whether it was a read.
func refusal(err error, read bool) error {
	var refused *confdb.Error
	if !errors.As(err, &refused) {
		return err
	}
	e := &Error{Status: http.StatusInternalServerError, Message: refused.Message}
	switch refused.Kind {
	case confdb.NoView, confdb.NoMatch:
		e.Status, e.Kind = http.StatusBadRequest, KindOptionNotAvailable
	case confdb.NoData:
		e.Status, e.Kind = http.StatusBadRequest, KindOptionNotFound
	case confdb.UnconstrainedParams, confdb.UnmatchedConstraints:
		e.Status = http.StatusBadRequest
	case confdb.BadRequest:
		if !read {
			e.Status = http.StatusBadRequest
		}
	}
	return e
}

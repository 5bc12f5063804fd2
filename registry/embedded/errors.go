package embedded

import (
	"errors"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// kinds maps the engine's kinds of errors to those of a backend.
var kinds = map[confdb.Kind]error{
	confdb.NoView:               backend.ErrNoView,
	confdb.NoMatch:              backend.ErrNoMatch,
	confdb.NoData:               backend.ErrNoData,
	confdb.BadRequest:           backend.ErrBadRequest,
	confdb.Invalid:              backend.ErrInvalid,
	confdb.UnconstrainedParams:  backend.ErrBadRequest,
	confdb.UnmatchedConstraints: backend.ErrBadRequest,
	confdb.Unauthorized:         backend.ErrUnauthorized,
	confdb.Other:                backend.ErrOther,
}

// Describe turns an error of the engine or the store into a *backend.Error with the request.
func Describe(err error, op string, view backend.ViewID, requests []string) error {
	if err == nil {
		return nil
	}
	if refused := (*confdb.Error)(nil); errors.As(err, &refused) {
		kind := kinds[refused.Kind]
		if kind == nil {
			kind = backend.ErrOther
		}
		return &backend.Error{Op: op, View: view, Requests: requests, Kind: kind, Message: refused.Message,
			Path: refused.Path, Reason: reason(refused), Err: refused}
	}
	if failed := (*backend.Error)(nil); errors.As(err, &failed) {
		e := *failed
		e.Op, e.View, e.Requests = op, view, requests
		return &e
	}
	return &backend.Error{Op: op, View: view, Requests: requests, Kind: backend.ErrOther, Reason: err.Error(), Err: err}
}

// reason returns the cause of a refusal. The engine sets Reason only for schema violations.
func reason(refused *confdb.Error) string {
	if refused.Reason != "" {
		return refused.Reason
	}
	if _, after, found := strings.Cut(refused.Message, ": "); found {
		return after
	}
	return refused.Message
}

// key returns the name of a view's confdb-schema in the store.
func key(view backend.ViewID) string { return view.Account + "/" + view.Schema }

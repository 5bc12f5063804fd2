package backend

import (
	"errors"
	"time"
)

// The kinds of refusal. Every error of a backend that concerns a request is an *Error that wraps one of them; ask with
// errors.Is. None of them ever becomes an empty value.
var (
	ErrNoData       = errors.New("no data")                                 // rules match, nothing is stored
	ErrNoMatch      = errors.New("no matching rule")                        // no rule of the view allows this request
	ErrUnauthorized = errors.New("access not allowed")                      // not root, or all of it is secret
	ErrInvalid      = errors.New("schema violation")                        // the storage schema refuses the data
	ErrBadRequest   = errors.New("bad request")                             // malformed path, value or constraint
	ErrNoSchema     = errors.New("unknown confdb-schema")                   // not acknowledged, or not brought along
	ErrNoView       = errors.New("unknown view")                            // the confdb-schema has no such view
	ErrNoCustodian  = errors.New("no custodian connected")                  // for this very view
	ErrDisabled     = errors.New("feature off")                             // the experimental flag
	ErrNotConnected = errors.New("plug not connected")                      // of the calling snap
	ErrRejected     = errors.New("rejected by a custodian")                 // a change-view or save-view hook refused
	ErrBusy         = errors.New("busy")                                    // others hold the confdb for longer than the access timeout; see Error.Until
	ErrInterrupted  = errors.New("interrupted")                             // the caller's context was cancelled or ran out
	ErrUnknown      = errors.New("outcome unknown")                         // sent, but the answer was lost: read back
	ErrUnreachable  = errors.New("unreachable")                             // no socket, nobody answers
	ErrCorrupt      = errors.New("stored data is damaged")                  // the embedded store's file
	ErrStorage      = errors.New("cannot store")                            // disk full, read-only directory
	ErrMayLoseData  = errors.New("snapd below 2.77 holds several databags") // warned of, see Status.Warnings
	ErrUnsupported  = errors.New("not supported")                           // by this backend or this snapd
	ErrOther        = errors.New("request failed")                          // shape conflicts and internal errors
)

// Kinds lists every kind once, for tables that must be complete.
func Kinds() []error {
	return []error{ErrNoData, ErrNoMatch, ErrUnauthorized, ErrInvalid, ErrBadRequest, ErrNoSchema, ErrNoView,
		ErrNoCustodian, ErrDisabled, ErrNotConnected, ErrRejected, ErrBusy, ErrInterrupted, ErrUnknown, ErrUnreachable, ErrCorrupt,
		ErrStorage, ErrMayLoseData, ErrUnsupported, ErrOther}
}

// An Error says which request failed, through which view, why, and what mends it.
type Error struct {
	Op       string   // "get", "set", "unset", "update", "watch", "list" or "open"
	View     ViewID   // zero where no view is concerned
	Requests []string // request paths; empty means the whole view
	Kind     error    // one of the kinds of this package

	// Message is the whole reason in the words of snapd or of the engine, such as
	// `cannot get "x" through ACC/network/observe-tunnel: no data`. Empty: one is made from the other fields.
	Message string
	// Path is the storage path that a schema violation (ErrInvalid) is about; "" for the top level.
	Path string
	// Reason is the last part of Message: the bare cause, such as "-3 is less than the allowed minimum 0".
	Reason string
	// Remedy is the command or step that mends it, such as `snap set system experimental.confdb=true`.
	Remedy string
	// Until is the moment at which waiting for others was given up (ErrBusy).
	Until time.Time
	// Err is the cause below, such as a *net.OpError; nil if there is none.
	Err error
}

// Error returns the message and, behind it, the remedy.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.text()
	}
	if e.Remedy != "" {
		text += " (try: " + e.Remedy + ")"
	}
	return text
}

func (e *Error) text() string {
	text := "cannot " + e.Op
	for i, request := range e.Requests {
		if i > 0 {
			text += ","
		}
		text += ` "` + request + `"`
	}
	if e.View != (ViewID{}) {
		if len(e.Requests) > 0 {
			text += " through"
		}
		text += " " + e.View.String()
	}
	switch {
	case e.Reason != "":
		text += ": " + e.Reason
	case e.Kind != nil:
		text += ": " + e.Kind.Error()
	}
	if !e.Until.IsZero() {
		text += ", waited until " + e.Until.Format(time.TimeOnly)
	}
	if e.Err != nil && e.Reason == "" {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// About returns err with what was asked filled in, if it is an *Error that does not say.
func About(err error, op string, view ViewID, requests []string) error {
	var bare *Error
	if !errors.As(err, &bare) || bare.Op != "" {
		return err
	}
	full := *bare
	full.Op, full.View, full.Requests = op, view, requests
	return &full
}

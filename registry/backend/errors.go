package backend

import (
	"errors"
	"strings"
	"time"
)

// The kinds of errors. Every error about a request is an *Error that wraps one of them. Test for a kind with
// errors.Is. A failure never appears as an empty value.
var (
	ErrNoData       = errors.New("no data")                                 // rules match, but nothing is stored
	ErrNoMatch      = errors.New("no matching rule")                        // no rule of the view allows this request
	ErrUnauthorized = errors.New("access not allowed")                      // not root, or the data is secret
	ErrInvalid      = errors.New("schema violation")                        // the storage schema refuses the data
	ErrBadRequest   = errors.New("bad request")                             // malformed path, value or constraint
	ErrNoSchema     = errors.New("unknown confdb-schema")                   // neither acknowledged nor in Options.Schemas
	ErrNoView       = errors.New("unknown view")                            // the confdb-schema has no such view
	ErrNoCustodian  = errors.New("no custodian connected")                  // no connected snap is custodian of the view
	ErrDisabled     = errors.New("feature off")                             // the experimental flag is off
	ErrNotConnected = errors.New("plug not connected")                      // the calling snap's plug is not connected
	ErrRejected     = errors.New("rejected by a custodian")                 // a change-view or save-view hook refused
	ErrBusy         = errors.New("busy")                                    // others held the confdb too long; see Error.Until
	ErrInterrupted  = errors.New("interrupted")                             // the caller's context ended
	ErrUnknown      = errors.New("outcome unknown")                         // the write's answer is lost: read back
	ErrUnreachable  = errors.New("unreachable")                             // no socket, or no answer
	ErrCorrupt      = errors.New("stored data is damaged")                  // the file of the embedded engine is damaged
	ErrStorage      = errors.New("cannot store")                            // the disk is full, or the directory is read-only
	ErrMayLoseData  = errors.New("snapd below 2.77 holds several databags") // a text for Status.Warnings
	ErrUnsupported  = errors.New("not supported")                           // this backend or this snapd cannot do it
	ErrOther        = errors.New("request failed")                          // conflicts of shape, and internal errors
)

// Kinds returns every kind once.
func Kinds() []error {
	return []error{ErrNoData, ErrNoMatch, ErrUnauthorized, ErrInvalid, ErrBadRequest, ErrNoSchema, ErrNoView,
		ErrNoCustodian, ErrDisabled, ErrNotConnected, ErrRejected, ErrBusy, ErrInterrupted, ErrUnknown, ErrUnreachable, ErrCorrupt,
		ErrStorage, ErrMayLoseData, ErrUnsupported, ErrOther}
}

// An Error says which request failed, through which view, why, and what the remedy is.
type Error struct {
	Op       string   // "get", "set", "unset", "update", "watch", "list" or "open"
	View     ViewID   // zero if the error is about no view
	Requests []string // request paths; empty for the whole view
	Kind     error    // one of the kinds of this package

	// Message is the whole reason in the words of snapd or of the engine, such as `cannot get "x" through
	// ACC/network/observe-tunnel: no data`. If it is empty, Error builds a text from the other fields.
	Message string
	// Path is the storage path of a schema violation (ErrInvalid), or the request path of a value that does not fit
	// the caller's variable (ErrBadRequest); "" for the top level.
	Path string
	// Reason is the cause alone, the last part of Message, such as "-3 is less than the allowed minimum 0".
	Reason string
	// Hook names the hook that Message comes from, such as "change-view-control of lamp-snap"; "" if it is not known.
	Hook string
	// Remedy is the command or step that solves the problem, such as `snap set system experimental.confdb=true`.
	Remedy string
	// Until is the time when the wait for others ended (ErrBusy).
	Until time.Time
	// Err is the underlying error, such as a *net.OpError; nil if there is none.
	Err error
}

// Error returns the message, preceded by the hook that it comes from and followed by the remedy.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.text()
	}
	if name, _, found := strings.Cut(e.Hook, " of "); found {
		text = "hook " + e.Hook + ": " + strings.TrimPrefix(text, `run hook "`+name+`": `)
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

// About completes err with the operation, view and requests if err is an *Error without an operation.
func About(err error, op string, view ViewID, requests []string) error {
	var bare *Error
	if !errors.As(err, &bare) || bare.Op != "" {
		return err
	}
	full := *bare
	full.Op, full.View, full.Requests = op, view, requests
	return &full
}

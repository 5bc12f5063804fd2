package roles

import (
	"context"
	"errors"
	"fmt"

	"aspects-poc/registry/backend"
)

// The exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// A UsageError is a command line that cannot be carried out as it is written.
type UsageError struct {
	Message string
	// Help is the command whose --help tells more; the frame fills it in.
	Help string
}

func (e *UsageError) Error() string {
	if e.Help == "" {
		return e.Message
	}
	return e.Message + "\nSee '" + e.Help + " --help'."
}

// Usagef returns a *UsageError: exit code 2.
func Usagef(format string, args ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, args...)}
}

// ExitCode is the one place that maps errors to exit codes.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	for _, row := range exitTable() {
		if row.matches(err) {
			return row.code
		}
	}
	return ExitFailed
}

type exitRow struct {
	kind    error // for the test of completeness; nil where matches looks at a type
	code    int
	matches func(error) bool
}

// exitTable lists every kind of refusal. They are all failures, as they are for the snap command: a script that must
// tell them apart reads the message or uses the library.
func exitTable() []exitRow {
	rows := []exitRow{{code: ExitUsage, matches: func(err error) bool {
		var usage *UsageError
		return errors.As(err, &usage)
	}}}
	for _, kind := range []error{
		backend.ErrNoData, backend.ErrNoMatch, backend.ErrUnauthorized, backend.ErrInvalid, backend.ErrBadRequest,
		backend.ErrNoSchema, backend.ErrNoView, backend.ErrNoCustodian, backend.ErrDisabled, backend.ErrNotConnected,
		backend.ErrRejected, backend.ErrBusy, backend.ErrInterrupted, backend.ErrUnknown, backend.ErrUnreachable, backend.ErrCorrupt,
		backend.ErrStorage, backend.ErrMayLoseData, backend.ErrUnsupported, backend.ErrOther,
		context.Canceled, context.DeadlineExceeded,
	} {
		rows = append(rows, exitRow{kind: kind, code: ExitFailed, matches: func(err error) bool {
			return errors.Is(err, kind)
		}})
	}
	return rows
}

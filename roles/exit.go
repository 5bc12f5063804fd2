package roles

import (
	"errors"
	"fmt"
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

// ExitCode is the one place that maps errors to exit codes. Every refusal is a failure, as it is for the snap command: a
// script that must tell them apart reads the message or uses the library.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &usage):
		return ExitUsage
	}
	return ExitFailed
}

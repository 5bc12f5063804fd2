package roles

import (
	"errors"
	"fmt"
)

// Exit codes of the program.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitNotYet = 3
)

// A UsageError is an error of the command line. The exit code is ExitUsage.
type UsageError struct {
	Message string
	// Help is the command whose --help the message recommends. The frame sets it.
	Help string
}

func (e *UsageError) Error() string {
	if e.Help == "" {
		return e.Message
	}
	return e.Message + "\nSee '" + e.Help + " --help'."
}

// Usagef returns a *UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, args...)}
}

// ErrNotYet is wrapped by the error of a command that has waited in vain. The exit code is ExitNotYet.
var ErrNotYet = errors.New("what was waited for has not come")

// A Status is an error of a command that has already printed what failed. It is the exit code.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

// ExitCode returns the exit code for an error. Errors without a code of their own give ExitFailed, as those of the snap
// command do; scripts that need more read the message or use the library.
func ExitCode(err error) int {
	var usage *UsageError
	var status Status
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, ErrNotYet):
		return ExitNotYet
	}
	return ExitFailed
}

package need

import "strings"

const before, between = "needs ", ", which is not here: "

// A Lack is something that a test needs and the machine does not have.
type Lack struct {
	What   string // a program, or another requirement
	Remedy string // the command that installs it

	require string // variables that make it required, separated by spaces; "" means Require
}

func (l *Lack) Error() string { return before + l.What + between + l.Remedy }

// ParseLack parses a Lack from a line of a test's output. It returns false for any other line.
func ParseLack(line string) (*Lack, bool) {
	what, remedy, ok := strings.Cut(strings.TrimSpace(line), between)
	if !ok {
		return nil, false
	}
	// The line begins with the place in the test: file_test.go:12:
	_, what, ok = strings.Cut(what, before)
	return &Lack{What: what, Remedy: remedy}, ok
}

package roles

import (
	"io"
	"os"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// IsTerminal reports whether a stream of Env is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Width returns the number of columns of a terminal; 0 for a stream that is none.
func Width(stream any) int {
	file, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// Height returns the number of lines of a terminal; 0 for a stream that is none.
func Height(stream any) int {
	file, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	_, lines, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return lines
}

// A Paint colours words for a terminal. The zero value does not change them.
type Paint struct{ on bool }

// Paint returns the colours for a stream. There are none if it is no terminal, or if the user has set NO_COLOR
// (https://no-color.org) or TERM=dumb.
func (e *Env) Paint(stream io.Writer) Paint {
	return Paint{on: IsTerminal(stream) && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"}
}

// Bad colours a failure.
func (p Paint) Bad(word string) string { return p.with(word, color.FgRed, color.Bold) }

// Warn colours a warning.
func (p Paint) Warn(word string) string { return p.with(word, color.FgYellow) }

// Good colours a success.
func (p Paint) Good(word string) string { return p.with(word, color.FgGreen) }

// Note colours information.
func (p Paint) Note(word string) string { return p.with(word, color.FgCyan) }

// Faint makes a word less visible.
func (p Paint) Faint(word string) string { return p.with(word, color.Faint) }

// Bold emphasises a word.
func (p Paint) Bold(word string) string { return p.with(word, color.Bold) }

func (p Paint) with(word string, attributes ...color.Attribute) string {
	if !p.on {
		return word
	}
	c := color.New(attributes...)
	c.EnableColor() // the library decides by the process's own streams
	return c.Sprint(word)
}

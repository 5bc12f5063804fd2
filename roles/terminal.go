package roles

import (
	"io"
	"os"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// IsTerminal tells whether what is written to (or read from) a stream of Env meets a person's eyes.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// A Paint colours words for a person at a terminal. The zero value leaves every word as it is.
type Paint struct{ on bool }

// Paint returns the colours of a stream: some for a terminal, none elsewhere. None, too, where the user has set NO_COLOR
// (https://no-color.org) or TERM=dumb.
func (e *Env) Paint(stream io.Writer) Paint {
	return Paint{on: IsTerminal(stream) && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"}
}

// Bad colours what failed.
func (p Paint) Bad(word string) string { return p.with(word, color.FgRed, color.Bold) }

// Warn colours what needs a look.
func (p Paint) Warn(word string) string { return p.with(word, color.FgYellow) }

// Good colours what succeeded.
func (p Paint) Good(word string) string { return p.with(word, color.FgGreen) }

// Note colours what is worth knowing.
func (p Paint) Note(word string) string { return p.with(word, color.FgCyan) }

// Faint takes emphasis from what most readers pass over.
func (p Paint) Faint(word string) string { return p.with(word, color.Faint) }

// Bold gives emphasis.
func (p Paint) Bold(word string) string { return p.with(word, color.Bold) }

func (p Paint) with(word string, attributes ...color.Attribute) string {
	if !p.on {
		return word
	}
	c := color.New(attributes...)
	c.EnableColor() // the library looks at the process's own streams
	return c.Sprint(word)
}

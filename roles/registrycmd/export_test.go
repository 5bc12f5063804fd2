package registrycmd

import (
	"io"

	"aspects-poc/roles"
)

// PrintOnTerminal prints as get does for a person.
func PrintOnTerminal(w io.Writer, values map[string]any, keys ...string) error {
	return printDocument(w, values, keys, fitting, true, roles.Paint{})
}

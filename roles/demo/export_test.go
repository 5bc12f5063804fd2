package demo

import (
	"io"
	"os"
	"strings"

	"aspects-poc/roles"
)

// Prefixed returns a role's standard output, with or without colours.
func Prefixed(to io.Writer, color bool, list []roles.Role, role string) io.Writer {
	p := newPrefixer(&roles.Env{Stdin: strings.NewReader(""), Stdout: to, Stderr: io.Discard, Getenv: os.Getenv}, list, 0)
	p.color = color
	out, _ := p.streams(role)
	return out
}

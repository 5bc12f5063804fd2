package fleetcmd

import (
	"io"
	"time"

	"aspects-poc/roles"
)

// SetNow has ages counted from another clock than the machine's.
func SetNow(clock func() time.Time) { now = clock }

// Page has a pager for a terminal of so many lines.
func Page(env *roles.Env, command string, lines int, do func(io.Writer) error) error {
	p := &pager{env: env, command: command, lines: lines - 1}
	return p.end(do(p))
}

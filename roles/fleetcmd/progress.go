package fleetcmd

import (
	"fmt"
	"sync"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
)

// busyAfter is when people are told that something takes long.
const busyAfter = time.Second

// busy says on a terminal what takes long, and for how long already, until the function that it returns is called. How much is left
// is not known.
func (s *session) busy(what string) (done func()) { return s.busyWith(func() string { return what }) }

// busyWith is busy for a text that changes.
func (s *session) busyWith(what func() string) (done func()) {
	if !roles.IsTerminal(s.env.Stderr) || s.env.Getenv("TERM") == "dumb" {
		return func() {}
	}
	var shown sync.WaitGroup
	end := make(chan struct{})
	begun := time.Now()
	shown.Go(func() {
		ticker := time.NewTicker(busyAfter)
		defer ticker.Stop()
		written := false
		for {
			select {
			case <-end:
				if written {
					fmt.Fprint(s.env.Stderr, "\r\x1b[K") //nolint:errcheck // it is for people only
				}
				return
			case <-ticker.C:
				written = true
				fmt.Fprintf(s.env.Stderr, "\r\x1b[K%s … %ds", plain.Line(what()), int(time.Since(begun).Seconds())) //nolint:errcheck // as above
			}
		}
	})
	return sync.OnceFunc(func() {
		close(end)
		shown.Wait()
	})
}

package fleetcmd

import (
	"fmt"
	"sync"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
)

// busyAfter is the time after which progress is printed.
const busyAfter = time.Second

// busy prints on a terminal what takes long, and since when, until done is called. It cannot print how much is left.
func (s *session) busy(what string) (done func()) { return s.busyWith(func() string { return what }) }

// busyWith is busy with a text that changes.
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

package hookrun

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"aspects-poc/internal/kit/rest"
)

// keepLines is the number of lines that the journal keeps, of all services together.
const keepLines = 10_000

// A journal keeps the last lines that services have printed.
type journal struct {
	mu    sync.Mutex // guards what follows
	lines []rest.LogLine
	begin int           // number of the first of lines, counted from the start of the runner
	moved chan struct{} // closed and replaced at each new line
}

func (j *journal) add(line rest.LogLine) {
	line.Time = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	if len(j.lines) >= 2*keepLines { // seldom, since it copies the lines
		j.begin += len(j.lines) - keepLines
		j.lines = slices.Clone(j.lines[len(j.lines)-keepLines:])
	}
	close(j.moved)
	j.moved = make(chan struct{})
}

// systemd adds systemd's line about a service that it has started or stopped.
func (j *journal) systemd(done, service string) {
	text := fmt.Sprintf("%s snap.%s.service - Service for snap application %s.", done, service, service)
	j.add(rest.LogLine{Service: service, Systemd: true, PID: 1, Text: text})
}

// refused adds systemd's line about a service that it does not start again.
func (j *journal) refused(service string) {
	text := fmt.Sprintf("snap.%s.service: Start request repeated too quickly.", service)
	j.add(rest.LogLine{Service: service, Systemd: true, PID: 1, Text: text})
}

// from returns the lines of services from a number on, and the number of the next line. moved is closed when that line arrives.
func (j *journal) from(number int, services []string) (list []rest.LogLine, next int, moved <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines[min(max(number-j.begin, 0), len(j.lines)):] {
		if slices.Contains(services, line.Service) {
			list = append(list, line)
		}
	}
	return list, j.begin + len(j.lines), j.moved
}

var _ rest.Logs = (*Runner)(nil)

// Logs calls yield for the lines that services have printed since New, as far as the journal keeps them.
func (r *Runner) Logs(ctx context.Context, services []string, last int, follow bool, yield func(rest.LogLine) error) error {
	list, next, moved := r.journal.from(0, services)
	if last >= 0 {
		list = list[max(len(list)-last, 0):]
	}
	for {
		for _, line := range list {
			if err := yield(line); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		list, next, moved = r.journal.from(next, services)
	}
}

// Package group puts calls that arrive together into a batch, which needs one transaction, one commit and one round
// trip (group commit). Its main type is Group. Both stores write through it. The store decides what a batch does: this
// package has no SQL.
package group

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"
)

// A Group runs jobs in batches. Each of its workers takes the jobs that have queued while it was busy. Jobs do not wait
// for a batch to fill, except for Linger.
type Group[T any] struct {
	// Linger is how long the first job of a batch waits for others if the previous batch had several jobs. A single
	// caller does not wait. Set it before the first Run.
	Linger time.Duration

	jobs  chan *Job[T]
	do    func(ctx context.Context, batch []*Job[T]) error
	most  int
	ended sync.WaitGroup

	mu     sync.RWMutex // guards closed, and prevents the close of jobs during a send
	closed bool
}

// A Job is a caller's request and its result.
type Job[T any] struct {
	Want T     // may be modified: Run returns it
	Err  error // the error of this job only, not of its batch

	ctx  context.Context // the caller's
	done chan struct{}   // closed when Want and Err are final
}

// New starts workers, which end with Close. A batch has at most most jobs, so that the first does not wait long for the
// last. An error of do is the error of every job of the batch.
func New[T any](ctx context.Context, workers, most int, do func(context.Context, []*Job[T]) error) *Group[T] {
	g := &Group[T]{jobs: make(chan *Job[T], most), do: do, most: most}
	for range workers {
		g.ended.Go(func() { g.work(ctx) })
	}
	return g
}

// Run runs one job and returns its result. If ctx ends before the job's batch begins, the job is not run; after that it
// is run all the same. In both cases Run returns the error of ctx. It returns fleet.ErrClosed after Close.
func (g *Group[T]) Run(ctx context.Context, want T) (T, error) {
	job := &Job[T]{ctx: ctx, Want: want, done: make(chan struct{})}
	if err := g.queue(ctx, job); err != nil {
		return want, err
	}
	select {
	case <-job.done:
		return job.Want, job.Err
	case <-ctx.Done():
		return want, ctx.Err()
	}
}

func (g *Group[T]) queue(ctx context.Context, job *Job[T]) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return fleet.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.jobs <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close runs the queued jobs, and ends the workers.
func (g *Group[T]) Close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.jobs)
	}
	g.mu.Unlock()
	g.ended.Wait()
}

func (g *Group[T]) work(ctx context.Context) {
	crowd := false
	for first := range g.jobs {
		batch := g.gather(first, crowd)
		crowd = len(batch) > 1
		if len(batch) == 0 {
			continue
		}
		err := g.do(ctx, batch)
		for _, job := range batch {
			if err != nil {
				job.Err = err
			}
			close(job.done)
		}
	}
}

// gather takes the jobs that are queued, or that arrive during Linger. It leaves out jobs whose callers have gone. It
// lingers only if crowd is true.
func (g *Group[T]) gather(first *Job[T], crowd bool) []*Job[T] {
	var batch []*Job[T]
	var lingered <-chan time.Time
	if crowd && g.Linger > 0 {
		timer := time.NewTimer(g.Linger)
		defer timer.Stop()
		lingered = timer.C
	}
	for next := first; next != nil; {
		if next.Err = next.ctx.Err(); next.Err != nil {
			close(next.done)
		} else if batch = append(batch, next); len(batch) == g.most {
			break
		}
		if lingered != nil {
			select {
			case next = <-g.jobs: // nil when closed
				continue
			case <-lingered:
				lingered = nil
			}
		}
		select {
		case next = <-g.jobs: // nil when closed
		default:
			next = nil
		}
	}
	return batch
}

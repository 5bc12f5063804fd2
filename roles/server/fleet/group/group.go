// Package group puts calls of one kind that arrive at the same time into a batch, which needs one transaction, one
// commit and one round trip (group commit). Both stores write through it. The store decides what a batch does: this
// package has no SQL.
package group

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"
)

// A Group does what has queued in batches. Each of its workers takes whatever has queued while it was busy. Nobody waits
// for a batch to fill, unless Linger says so.
type Group[T any] struct {
	// Linger is for how long the first job of a batch waits for others, if the batch before it had several: one who comes
	// alone does not wait. Set it before the first Run.
	Linger time.Duration

	jobs  chan *Job[T]
	do    func(ctx context.Context, batch []*Job[T]) error
	most  int
	ended sync.WaitGroup

	mu     sync.RWMutex // guards closed, and jobs against being closed while somebody sends
	closed bool
}

// A Job is what one caller wants, and what came of it.
type Job[T any] struct {
	Want T     // may be changed: Run returns it
	Err  error // of this job alone; it does not concern the others of its batch

	ctx  context.Context // of the caller
	done chan struct{}   // closed when Want and Err are final
}

// New starts workers, which end with Close. A batch has at most most jobs, so that the first does not wait for the last.
// What do returns is the error of every job of the batch.
func New[T any](ctx context.Context, workers, most int, do func(context.Context, []*Job[T]) error) *Group[T] {
	g := &Group[T]{jobs: make(chan *Job[T], most), do: do, most: most}
	for range workers {
		g.ended.Go(func() { g.work(ctx) })
	}
	return g
}

// Run does one thing and returns it with what came of it. It returns the error of ctx if that ends first: a job that has
// not had its turn by then is not done, and one that has is. It returns fleet.ErrClosed after Close.
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

// Close does what is queued, and ends.
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

// gather takes what is queued already, or comes while it lingers, less those whose callers have gone. It lingers in a
// crowd only.
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

package postgres

import (
	"context"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"
)

// A group does things of one kind that many callers want at the same time in one go: one round trip, one commit. Each
// of its workers takes whatever has queued while it was busy, and nobody waits for a batch to fill, unless linger says so.
type group[T any] struct {
	jobs chan *job[T]
	do   func(ctx context.Context, batch []*job[T]) error // the error of all; that of one goes into its job
	most int                                              // jobs of one batch, so that the first does not wait for the last
	// linger is for how long the first job waits for others; set before the first job.
	linger time.Duration
	ended  sync.WaitGroup

	mu     sync.RWMutex // guards closed, and jobs against being closed while somebody sends
	closed bool
}

// A job is what one caller wants, and what came of it.
type job[T any] struct {
	ctx  context.Context // of the caller: a job whose caller has gone before its turn is not done
	want T
	err  error
	done chan struct{} // closed when err, and what do left in want, are there
}

// newGroup starts workers, which end with close. What they do is bounded by ctx.
func newGroup[T any](ctx context.Context, workers, most int, do func(context.Context, []*job[T]) error) *group[T] {
	g := &group[T]{jobs: make(chan *job[T], most), do: do, most: most}
	for range workers {
		g.ended.Go(func() { g.work(ctx) })
	}
	return g
}

// run does one thing and returns it with what came of it.
func (g *group[T]) run(ctx context.Context, want T) (T, error) {
	work := &job[T]{ctx: ctx, want: want, done: make(chan struct{})}
	if err := g.queue(ctx, work); err != nil {
		return want, err
	}
	select {
	case <-work.done:
		return work.want, work.err
	case <-ctx.Done():
		return want, ctx.Err()
	}
}

func (g *group[T]) queue(ctx context.Context, work *job[T]) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return fleet.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.jobs <- work:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close does what is queued, and ends.
func (g *group[T]) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.jobs)
	}
	g.mu.Unlock()
	g.ended.Wait()
}

func (g *group[T]) work(ctx context.Context) {
	for first := range g.jobs {
		batch := g.gather(first)
		err := error(nil)
		if len(batch) > 0 {
			err = g.do(ctx, batch)
		}
		for _, work := range batch {
			if err != nil {
				work.err = err
			}
			close(work.done)
		}
	}
}

// gather takes what is queued already, or comes while it lingers, less those whose callers have gone.
func (g *group[T]) gather(first *job[T]) []*job[T] {
	var batch []*job[T]
	var lingered <-chan time.Time
	if g.linger > 0 {
		timer := time.NewTimer(g.linger)
		defer timer.Stop()
		lingered = timer.C
	}
	for next := first; next != nil; {
		if next.err = next.ctx.Err(); next.err != nil {
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

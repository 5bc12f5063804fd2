package postgres

import "context"

type Job[T any] = job[T]

// Want is what the job's caller wants.
func (j *job[T]) Want() *T { return &j.want }

// Refuse makes the job fail alone.
func (j *job[T]) Refuse(err error) { j.err = err }

var NewGroup = newGroup[int]

func Run[T any](ctx context.Context, g *group[T], want T) (T, error) { return g.run(ctx, want) }

func Close[T any](g *group[T]) { g.close() }

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

// Hold keeps the store from looking for changes until the function that it returns is called.
func (s *Store) Hold() (release func()) {
	s.looking.Lock()
	return s.looking.Unlock
}

// Forget drops all changes, as Maintain does with old ones.
func (s *Store) Forget(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM changes")
	return err
}

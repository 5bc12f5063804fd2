package postgres

import (
	"context"
	"errors"
	"time"

	"aspects-poc/roles/internal/poll"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel carries notices of changes: that there is something to read, and (their payload) whose it is.
const channel = "aspects_fleet"

const (
	// lookEvery is how often a server looks for changes of which no notice came: as none comes from a database that has
	// no LISTEN, nor through a pooler in transaction mode.
	lookEvery = time.Second
	// lookTime is how long the database may take for a look. After that the server asks whether it is still there.
	lookTime = 2 * time.Second
)

// watch tells this process what other servers change, until ctx ends, and notices first when the database is lost: it has a
// connection of its own, on which it listens and looks, and finds the primary again when that fails.
func (s *Store) watch(ctx context.Context, conn *pgx.Conn) {
	for conn != nil {
		err := s.listen(ctx, conn)
		go release(conn)
		if ctx.Err() != nil {
			return
		}
		conn = s.regain(ctx, err)
	}
}

// listen reads what is new at every notice, and at every look, until that fails.
func (s *Store) listen(ctx context.Context, conn *pgx.Conn) error {
	if !s.deaf {
		_, err := conn.Exec(ctx, "LISTEN "+channel)
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused) && (refused.Code == featureNotSupported || refused.Code == syntaxError):
			s.deaf = true
			s.log.Info("the database has no LISTEN: changes made through other servers are looked for", "every", lookEvery)
		case err != nil:
			return err
		}
	}
	for {
		next := time.Now().Add(lookEvery)
		if err := s.catchUp(ctx, conn); err != nil {
			return err
		}
		s.trouble.check(ctx)
		if err := s.hear(ctx, conn, next); err != nil {
			return err
		}
	}
}

// hear returns at a notice of another server, or when the time has come to look.
func (s *Store) hear(ctx context.Context, conn *pgx.Conn, next time.Time) error {
	if s.deaf { // no notice comes
		return poll.Sleep(ctx, time.Until(next))
	}
	ctx, cancel := context.WithDeadline(ctx, next)
	defer cancel()
	for {
		notification, err := conn.WaitForNotification(ctx)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded) && !conn.IsClosed():
			return nil
		case err != nil:
			return err
		case notification.Payload != s.origin.String(): // its own it knows
			return nil
		}
	}
}

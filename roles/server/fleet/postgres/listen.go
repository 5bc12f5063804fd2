package postgres

import (
	"context"
	"errors"
	"time"

	"aspects-poc/roles/internal/poll"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel has the notices of changes: a notice means that there is something to read; its payload is the server that
// made the change.
const channel = "aspects_fleet"

const (
	// lookEvery is the time between two reads of changes without a notice. No notice comes from a database without
	// LISTEN, or through a pooler in transaction mode.
	lookEvery = time.Second
	// lookTime is the longest time for a read. After it the server checks whether the database is still there.
	lookTime = 2 * time.Second
)

// watch sends this process the changes of other servers until ctx ends. It is the first to detect the loss of the
// database: it has its own connection, on which it listens and reads, and it finds the primary again.
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

// listen reads the changes after every notice and at regular times, until an error.
func (s *Store) listen(ctx context.Context, conn *pgx.Conn) error {
	if !s.deaf {
		_, err := conn.Exec(ctx, "LISTEN "+channel)
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused) && (refused.Code == featureNotSupported || refused.Code == syntaxError):
			s.deaf = true
			s.log.Info("the database has no LISTEN: this server polls it for the changes of other servers", "every", lookEvery)
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

// hear returns after a notice of another server, or when the time next has come.
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
		case notification.Payload != s.origin.String(): // not this server's own
			return nil
		}
	}
}

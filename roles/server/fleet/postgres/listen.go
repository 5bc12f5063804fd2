package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// channel carries notices of changes: that there is something to read, and (their payload) whose it is.
const channel = "aspects_fleet"

const (
	// lookEvery is how often a server looks for changes of which no notice came: as none comes from a database that has
	// no LISTEN, nor through a pooler in transaction mode, nor while the connection that listens is being made again.
	lookEvery = time.Second
	// listenAgain is how long to wait before listening again.
	listenAgain = time.Second
)

// follow tells this process what other servers change, until ctx ends: it reads what is new at every notice, and at every
// look. It logs when that begins to fail, and when it works again.
func (s *Store) follow(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		case <-s.wake:
		}
		err := s.catchUp(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			s.log.Error("the database cannot be reached: trying on", "error", explain(ctx, err))
		case err == nil && failing:
			s.log.Info("the database is back")
		}
		failing = err != nil
	}
}

// listen wakes follow at every notice, until ctx ends or the database turns out to have no LISTEN.
func (s *Store) listen(ctx context.Context) {
	for {
		err := s.listenOnce(ctx)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && (refused.Code == featureNotSupported || refused.Code == syntaxError) {
			s.log.Info("the database has no LISTEN: changes made through other servers are looked for", "every", lookEvery)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
}

// listenOnce listens on a connection of its own, as long as that lasts.
func (s *Store) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is lost
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	s.poke() // for what changed before it listened
	for {
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if notification.Payload != s.origin.String() { // its own it knows
			s.poke()
		}
	}
}

// poke wakes follow, which reads all that is new, however often it was poked.
func (s *Store) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Package postgres keeps the fleet's state in PostgreSQL (15 or later), or in what speaks its protocol, for several
// servers at a time.
//
// Servers keep nothing of their own: revisions are drawn, and expectations checked, in the transaction that writes.
// Whatever a server commits it also enters in the table changes, under a number that becomes visible in its order, and
// the others read on from the number that they know: at once when NOTIFY tells them to, and every second anyway. So
// LISTEN is a matter of speed only, and no change is lost while a connection is.
//
// What many devices want at the same time shares statements and commits: see package group. An operation that the database does
// not answer in time, or that finds no database, is a fleet.ErrUnavailable; connections are made again by themselves.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// inTime is how long the database may take for an operation. Devices wait longer than that for an answer.
	inTime = 10 * time.Second
	// connections is how many a server keeps at most where the address says nothing else (pool_max_conns).
	connections = 10
	// mostTogether bounds what one statement does, so that the first of a crowd does not wait for the last.
	mostTogether = 512
)

// Options changes how a store works. The zero value is ready for use.
type Options struct {
	Log *slog.Logger // for what happens between calls; nil means nowhere
	// Deaf makes the store do without LISTEN, as if the database had none.
	Deaf bool
}

// A Store is a fleet.Store in PostgreSQL.
type Store struct {
	pool   *pgxpool.Pool
	config *pgx.ConnConfig // for connections beside the pool
	log    *slog.Logger
	origin uuid.UUID // of changes
	hub    fleet.Hub

	deaf     bool
	notifies bool // the database has NOTIFY

	adds    *group.Group[add]
	reads   *group.Group[read]
	reports *group.Group[report]
	nonces  *group.Group[nonce]

	wake    chan struct{} // of follow
	looking sync.Mutex    // guards last
	last    int64         // number of the last change known
	stop    context.CancelFunc
	running sync.WaitGroup // follow and listen

	mu     sync.RWMutex // guards closed, and calls against being added after it
	closed bool
	calls  sync.WaitGroup
}

var (
	_ fleet.Store      = (*Store)(nil)
	_ fleet.Maintainer = (*Store)(nil)
	_ fleet.Sharer     = (*Store)(nil)
)

// Open connects to the database at an address (postgres://USER:PASSWORD@HOST:PORT/NAME?…, with the parameters of libpq
// and pgxpool), and brings its tables up to date.
func Open(ctx context.Context, address string, options Options) (*Store, error) {
	config, err := parse(address)
	if err != nil {
		return nil, err
	}
	s := &Store{config: config.ConnConfig, log: options.Log, origin: uuid.New(), deaf: options.Deaf, wake: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.start(ctx, config); err != nil {
		return nil, fmt.Errorf("cannot use the database at %s: %w", Name(address), err)
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, config *pgxpool.Config) error {
	opening, cancel := context.WithTimeout(ctx, time.Minute) // another server may be migrating
	defer cancel()
	conn, err := pgx.ConnectConfig(opening, s.config.Copy())
	if err != nil {
		return explain(ctx, err)
	}
	err = migrate(opening, conn, migrations)
	if err == nil {
		err = conn.QueryRow(opening, "SELECT value FROM counters WHERE name = 'change'").Scan(&s.last)
	}
	if err == nil {
		_, refused := conn.Exec(opening, "SELECT pg_notify($1, '')", channel)
		s.notifies = refused == nil
	}
	if err := errors.Join(err, conn.Close(opening)); err != nil {
		return explain(ctx, err)
	}
	// The background's own context: the caller's may be for opening only.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	if s.pool, err = pgxpool.NewWithConfig(background, config); err != nil {
		stop()
		return err
	}
	s.stop = stop
	// Two workers each: one has its statement under way while the other gathers.
	s.adds = group.New(background, 2, mostTogether, s.addAll)
	s.reads = group.New(background, 2, mostTogether, s.readAll)
	s.reports = group.New(background, 2, mostTogether, s.reportAll)
	s.nonces = group.New(background, 2, mostTogether, s.takeNonces)
	s.nonces.Linger = nonceLinger
	s.running.Go(func() { s.follow(background) })
	if !s.deaf {
		s.running.Go(func() { s.listen(background) })
	}
	return nil
}

// Check has the database write a row, as one that answers may be read-only, or have no room.
func (s *Store) Check(ctx context.Context) error {
	return s.call(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "UPDATE counters SET value = value WHERE name = 'pending'")
		return err
	})
}

// Shared is as of fleet.Sharer.
func (s *Store) Shared() bool { return true }

// Changes is as of fleet.Store.
func (s *Store) Changes(ctx context.Context) (<-chan fleet.Notice, error) { return s.hub.Listen(ctx) }

// Close waits for calls under way and closes all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.calls.Wait()
	s.adds.Close()
	s.reads.Close()
	s.reports.Close()
	s.nonces.Close()
	s.stop()
	s.running.Wait()
	s.hub.Close()
	s.pool.Close()
	return nil
}

// call does something with the database, within the time that it may take, and explains what goes wrong.
func (s *Store) call(ctx context.Context, do func(context.Context) error) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fleet.ErrClosed
	}
	s.calls.Add(1)
	s.mu.RUnlock()
	defer s.calls.Done()
	bounded, cancel := context.WithTimeout(ctx, inTime)
	defer cancel()
	return explain(ctx, do(bounded))
}

// write does something in a transaction, again when the database asks for that, and tells of it. do must not change
// anything but the database, and its results.
func (s *Store) write(ctx context.Context, do func(context.Context, pgx.Tx) (*fleet.Notice, error)) error {
	return s.call(ctx, func(ctx context.Context) error {
		var notice *fleet.Notice
		err := s.again(ctx, func() error {
			return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
				if notice, err = do(ctx, tx); err != nil || notice == nil {
					return err
				}
				var batch pgx.Batch
				s.enter(&batch, *notice)
				return tx.SendBatch(ctx, &batch).Close()
			})
		})
		s.told(notice, err)
		return err
	})
}

// again does something until it succeeds or fails for another reason than that the database wants it done again.
func (s *Store) again(ctx context.Context, do func() error) error {
	var err error
	for range attempts {
		if err = do(); !isRetry(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// lock takes the row of the revisions, in whose order writers of targets and labels go, and returns the last one drawn.
func lock(ctx context.Context, tx pgx.Tx) (revision int64, err error) {
	err = tx.QueryRow(ctx, "SELECT value FROM counters WHERE name = 'revision' FOR UPDATE").Scan(&revision)
	return revision, err
}

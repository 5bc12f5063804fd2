// Package postgres stores the fleet's state in PostgreSQL (15 or later), or in a database that speaks its protocol, for
// several servers at once. Its main type is Store. Package fleet has the rules, and package rows what both stores
// share.
//
// Servers have no state of their own: the transaction that writes also draws the revision, and checks what the caller
// expects. It records each change in the table changes with a number; numbers become visible in their order. The other
// servers read the changes after the last number that they know: at once after a NOTIFY, and otherwise every second.
// Thus LISTEN only makes this faster, and a server that loses its connection loses no change.
//
// One connection watches the database: it listens and reads changes. When it fails, the store asks all hosts of the
// address in parallel which one accepts writes, and closes all connections to the lost one: see primary. Until then it
// refuses calls at once.
//
// Calls of many devices at the same time share statements and commits: see package group. If the database does not
// answer an operation in time, or there is no database, the error is fleet.ErrOutage. The store reconnects by itself.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// inTime is the longest time of an operation. Devices wait longer for an answer.
	inTime = 10 * time.Second
	// connections is the largest number of connections of a server without pool_max_conns in the address.
	connections = 10
	// mostTogether limits the work of one statement, so that the first of many callers does not wait for the last.
	mostTogether = 512
)

// Options are options of Open. The zero value is ready for use.
type Options struct {
	Log *slog.Logger // for events between calls; nil means no log
	// Deaf makes the store behave as with a database without LISTEN.
	Deaf bool
	// Wait makes Open wait for a database that does not answer, until the context ends.
	Wait bool
}

// A Store is a fleet.Store in PostgreSQL.
//
// It has many fields and methods because each call of fleet.Store is a method, and each kind of call that shares transactions
// has a group.
type Store struct {
	hosts   []*pgxpool.Config // one for each host of the address
	primary atomic.Pointer[primary]
	trouble trouble
	log     *slog.Logger
	origin  uuid.UUID // origin of this server's changes
	hub     fleet.Hub
	plain   bool // see parse

	notifies bool // the database has NOTIFY
	deaf     bool

	adds     *group.Group[add]
	reads    *group.Group[read]
	reports  *group.Group[report]
	nonces   *group.Group[nonce]
	confirms *group.Group[struct{}]

	looking sync.Mutex // guards last
	last    int64      // number of the last known change
	stop    context.CancelFunc
	running sync.WaitGroup // watch, and the goroutines that it starts

	mu     sync.RWMutex // guards closed, and prevents that a call begins after it
	closed bool
	calls  sync.WaitGroup
}

var (
	_ fleet.Store      = (*Store)(nil)
	_ fleet.Maintainer = (*Store)(nil)
	_ fleet.Sharer     = (*Store)(nil)
	_ fleet.Confirmer  = (*Store)(nil)
)

// Open connects to the database at an address (postgres://USER:PASSWORD@HOST:PORT/NAME?…, with the parameters of libpq
// and pgxpool), and brings its tables up to date.
func Open(ctx context.Context, address string, options Options) (*Store, error) {
	config, plain, err := parse(address)
	if err != nil {
		return nil, err
	}
	s := &Store{hosts: hosts(config), log: options.Log, origin: uuid.New(), deaf: options.Deaf || plain, plain: plain}
	s.trouble.store = s
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	waiting := false
	for {
		err := s.start(ctx)
		if err == nil {
			return s, nil
		}
		err = fmt.Errorf("cannot use the database at %s: %w", Name(address), err)
		if !options.Wait || ctx.Err() != nil || !errors.Is(err, fleet.ErrOutage) {
			return nil, err
		}
		if !waiting {
			s.log.Error("the database cannot be used yet: waiting for it", "error", err)
			waiting = true
		}
		if poll.Sleep(ctx, lookEvery) != nil {
			return nil, err
		}
	}
}

func (s *Store) start(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, time.Minute) // another server may be migrating
	defer cancel()
	conn, first, err := s.find(opening)
	if err != nil {
		return explain(ctx, err)
	}
	if err := s.prepare(opening, conn); err != nil {
		first.close()
		release(conn)
		return explain(ctx, err)
	}
	s.primary.Store(first)
	if first.pooled && !s.deaf {
		s.deaf = true
		s.log.Info("a pooler is in front of the database, and LISTEN may not work through it: this server polls the database for the "+
			"changes of other servers; an address without the pooler makes them known at once", "every", lookEvery)
	}
	// The caller's context may be for the opening only.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	// Two workers each: one runs its statement while the other gathers jobs.
	s.adds = group.New(background, 2, mostTogether, s.addAll)
	s.reads = group.New(background, 2, mostTogether, s.readAll)
	s.reports = group.New(background, 2, mostTogether, s.reportAll)
	s.nonces = group.New(background, 2, mostTogether, s.takeNonces)
	s.nonces.Linger = nonceLinger
	s.confirms = group.New(background, 2, mostTogether, s.confirmAll)
	s.running.Go(func() { s.watch(background, conn) })
	return nil
}

// prepare brings the tables up to date. It finds out what the database supports, and reads the number of the last
// change.
func (s *Store) prepare(ctx context.Context, conn *pgx.Conn) error {
	if err := migrate(ctx, conn, migrations, s.plain); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT value FROM counters WHERE name = 'change'", pgx.QueryExecModeSimpleProtocol).Scan(&s.last); err != nil {
		return err
	}
	if !s.plain {
		_, refused := conn.Exec(ctx, "SELECT pg_notify('"+channel+"', '')", pgx.QueryExecModeSimpleProtocol)
		s.notifies = refused == nil
	}
	return nil
}

// Check makes the database write a row, because one that answers may be read-only or full. If the database is lost,
// Check waits for one search.
func (s *Store) Check(ctx context.Context) error {
	for begin := time.Now(); s.primary.Load().lost.Err() != nil && time.Since(begin) < seekTime; {
		if err := poll.Sleep(ctx, seekEvery/10); err != nil {
			return err
		}
	}
	return s.call(ctx, func(ctx context.Context) error {
		return s.touch(ctx)
	})
}

// Shared implements fleet.Sharer.
func (s *Store) Shared() bool { return true }

// Changes implements fleet.Store.
func (s *Store) Changes(ctx context.Context) (<-chan fleet.Notice, error) { return s.hub.Listen(ctx) }

// Close waits for running calls and closes all connections.
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
	s.confirms.Close()
	s.stop()
	s.running.Wait()
	s.hub.Close()
	s.primary.Load().close()
	return nil
}

// call runs do with the limit of time, and explains its errors.
func (s *Store) call(ctx context.Context, do func(context.Context) error) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fleet.ErrClosed
	}
	s.calls.Add(1)
	s.mu.RUnlock()
	defer s.calls.Done()
	if s.primary.Load().lost.Err() != nil {
		return errLost
	}
	bounded, cancel := s.within(ctx, s.trouble.limit())
	defer cancel()
	err := explain(ctx, do(bounded))
	if errors.Is(err, fleet.ErrOutage) {
		s.trouble.begin(err)
	}
	return err
}

// write runs do in a transaction and sends the notices that it returns. It repeats the transaction when the database
// asks for that, so do must change only the database and its own results. If do is part of an act of package audit and
// changes something, the transaction has its record.
func (s *Store) write(ctx context.Context, do func(context.Context, pgx.Tx) ([]fleet.Notice, error)) error {
	pending := audit.From(ctx)
	return s.call(ctx, func(ctx context.Context) error {
		var notices []fleet.Notice
		err := s.again(ctx, func() error {
			return pgx.BeginFunc(ctx, s.pool(), func(tx pgx.Tx) (err error) {
				pending.Try()
				if notices, err = do(ctx, tx); err != nil {
					return err
				}
				if len(notices) == 0 {
					return s.confirmed(ctx, tx)
				}
				var batch pgx.Batch
				for _, notice := range notices {
					s.enter(&batch, notice)
				}
				if record, is := pending.Enter(); is {
					batch.Queue(addAudit, auditValues(record)...)
				}
				return tx.SendBatch(ctx, &batch).Close()
			})
		})
		s.notify(notices, err)
		if err == nil {
			pending.Committed()
		}
		return err
	})
}

// confirmed makes sure that what a transaction has read is durable. It is stored already, but its author may have got
// no answer.
func (s *Store) confirmed(ctx context.Context, tx pgx.Tx) (err error) {
	if s.primary.Load().synchronous {
		_, err = tx.Exec(ctx, touch)
	}
	return err
}

// again repeats do as long as the database asks for it.
func (s *Store) again(ctx context.Context, do func() error) error {
	var err error
	for range attempts {
		if err = do(); !isRetry(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// lock locks the row of the revisions, which serialises the writers of targets and labels. It returns the last
// revision.
func lock(ctx context.Context, tx pgx.Tx) (revision int64, err error) {
	err = tx.QueryRow(ctx, "SELECT value FROM counters WHERE name = 'revision' FOR UPDATE").Scan(&revision)
	return revision, err
}

// nextRevision is lock, but returns the next revision to draw. During a release it leaves out one; amid reports that.
func nextRevision(ctx context.Context, tx pgx.Tx) (revision int64, amid bool, err error) {
	if revision, err = lock(ctx, tx); err == nil {
		err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM releases WHERE active = 1)").Scan(&amid)
	}
	if revision++; amid {
		revision++
	}
	return revision, amid, err
}

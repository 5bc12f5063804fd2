package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// seekTime is the longest time of one search for the primary.
	seekTime = 2 * time.Second
	// seekEvery is the time between two searches.
	seekEvery = 250 * time.Millisecond
)

// A primary is the server of the database that accepts writes, with the connections to it. When it is lost, all calls
// that wait for it end, and all its connections are closed at once, because each alone would wait for the lost server.
type primary struct {
	pool  *pgxpool.Pool
	begun string          // start of the database's server; "" if it does not report it
	lost  context.Context // ends when the primary is lost
	lose  context.CancelFunc
	// synchronous means that a commit waits for a standby. A value that a read returns may then still get lost: see
	// Store.Confirm.
	synchronous bool
	// pooled means that there is a pooler in front: sessions are not the server's own.
	pooled bool
}

func (p *primary) close() {
	p.lose()
	p.pool.Close() // waits for running calls, which have ended
}

var errLost = fmt.Errorf("%w: no server of the database takes writes", fleet.ErrOutage)

// pool returns the connections to the primary, or to the last one if it is lost.
func (s *Store) pool() *pgxpool.Pool { return s.primary.Load().pool }

// within returns a context that also ends after a time or when the primary is lost.
func (s *Store) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	stop := context.AfterFunc(s.primary.Load().lost, cancel)
	return bounded, func() { stop(); cancel() }
}

// hosts returns a configuration for each host of an address.
func hosts(config *pgxpool.Config) (list []*pgxpool.Config) {
	type entry = struct {
		host string
		port uint16
	}
	found := map[entry]*pgxpool.Config{}
	all := config.ConnConfig
	add := func(host string, port uint16, fallback func(into *pgx.ConnConfig)) {
		if known := found[entry{host, port}]; known != nil {
			fallback(known.ConnConfig)
			return
		}
		one := config.Copy()
		one.ConnConfig.Host, one.ConnConfig.Port, one.ConnConfig.Fallbacks = host, port, nil
		found[entry{host, port}] = one
		list = append(list, one)
	}
	add(all.Host, all.Port, func(*pgx.ConnConfig) {})
	for _, other := range all.Fallbacks {
		fresh := found[entry{other.Host, other.Port}] == nil
		add(other.Host, other.Port, func(into *pgx.ConnConfig) { into.Fallbacks = append(into.Fallbacks, other) })
		if fresh {
			found[entry{other.Host, other.Port}].ConnConfig.TLSConfig = other.TLSConfig
		}
	}
	return list
}

// seek asks all hosts in parallel, because a dead one may not even refuse. It returns a connection to the first one
// that accepts writes.
func (s *Store) seek(ctx context.Context) (*pgx.Conn, *pgxpool.Config, error) {
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	type found struct {
		conn *pgx.Conn
		host *pgxpool.Config
		err  error
	}
	answers := make(chan found, len(s.hosts))
	for _, host := range s.hosts {
		go func() {
			conn, err := pgx.ConnectConfig(ctx, host.ConnConfig.Copy())
			if err == nil && len(s.hosts) > 1 {
				var readOnly string
				// A database that does not know the setting accepts writes.
				if conn.QueryRow(ctx, "SHOW transaction_read_only", pgx.QueryExecModeSimpleProtocol).Scan(&readOnly) == nil && readOnly == "on" {
					err = fmt.Errorf("%w: %s:%d takes no writes", fleet.ErrOutage, host.ConnConfig.Host, host.ConnConfig.Port)
				}
			}
			if err != nil && conn != nil {
				release(conn)
			}
			answers <- found{conn, host, err}
		}()
	}
	var failed []error
	for left := len(s.hosts); left > 0; left-- {
		answer := <-answers
		if answer.err != nil {
			failed = append(failed, answer.err)
			continue
		}
		go func() { // the others are not needed
			for range left - 1 {
				if other := <-answers; other.err == nil {
					release(other.conn)
				}
			}
		}()
		return answer.conn, answer.host, nil
	}
	return nil, nil, errors.Join(failed...)
}

// release closes a connection without waiting for the other side.
func release(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), seekTime)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost
}

// find returns a connection to the primary, with the primary's properties. Behind a pooler it connects again without
// named statements, because these belong to sessions, and a pooler in transaction mode mixes sessions.
func (s *Store) find(ctx context.Context) (*pgx.Conn, *primary, error) {
	for {
		conn, host, err := s.seek(ctx)
		if err != nil {
			return nil, nil, err
		}
		p, err := s.inspect(ctx, conn, host)
		if err != nil {
			release(conn)
			return nil, nil, err
		}
		if !p.pooled || host.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheDescribe {
			return conn, p, nil
		}
		p.close()
		release(conn)
		nameless := make([]*pgxpool.Config, len(s.hosts)) // a finished search may still read the others
		for i, host := range s.hosts {
			nameless[i] = host.Copy()
			nameless[i].ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		s.hosts = nameless
	}
}

// inspect returns a primary after a few questions on a connection to it. A database need not know the questions.
func (s *Store) inspect(ctx context.Context, conn *pgx.Conn, host *pgxpool.Config) (*primary, error) {
	p := &primary{begun: ask(ctx, conn, "SELECT pg_postmaster_start_time()::text")}
	p.synchronous = strings.TrimSpace(ask(ctx, conn, "SHOW synchronous_standby_names")) != ""
	// A pooler gives clients a process number of its own.
	process := ask(ctx, conn, "SELECT pg_backend_pid()::text")
	p.pooled = process != "" && process != fmt.Sprint(conn.PgConn().PID())
	p.lost, p.lose = context.WithCancel(context.Background())
	var err error
	if p.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), host.Copy()); err != nil {
		p.lose()
		return nil, err
	}
	return p, nil
}

// ask returns the answer to a question; "" for an error.
func ask(ctx context.Context, conn *pgx.Conn, question string) (text string) {
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	if conn.QueryRow(ctx, question, pgx.QueryExecModeSimpleProtocol).Scan(&text) != nil {
		return ""
	}
	return text
}

// regain finds the primary again after its watch has failed, and returns a connection to it; nil when ctx ends. If the
// same server still answers, its other connections stay open, because it may only be slow.
func (s *Store) regain(ctx context.Context, why error) *pgx.Conn {
	before := s.primary.Load()
	for {
		pause := time.NewTimer(seekEvery)
		conn, next, err := s.find(ctx)
		if err == nil {
			if here, there := before.pool.Config().ConnConfig, next.pool.Config().ConnConfig; before.lost.Err() == nil &&
				next.begun == before.begun && here.Host == there.Host && here.Port == there.Port {
				next.close()
				return conn
			}
			s.trouble.begin(errors.Join(errLost, why))
			s.primary.Store(next)
			go before.close()
			return conn
		}
		if ctx.Err() != nil {
			return nil
		}
		s.trouble.begin(errors.Join(why, err))
		before.lose()
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// trouble logs when the database begins to fail, and when it accepts writes again: one line each, however many calls
// fail.
type trouble struct {
	store *Store

	mu       sync.Mutex // guards the fields below
	since    time.Time  // zero without trouble
	checking bool
}

func (t *trouble) begin(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.since = time.Now()
		t.store.log.Error("the database fails: devices that repeat their last poll are answered, everything else is refused; trying again", "error", err)
	}
}

// limit returns the longest time of an operation. It is short during trouble, because waiting calls would delay answers
// that need no database.
func (t *trouble) limit() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return inTime
	}
	return lookTime
}

// check finds out in the background whether the trouble is over.
func (t *trouble) check(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() || t.checking {
		return
	}
	t.checking = true
	t.store.running.Go(func() {
		ctx, cancel := t.store.within(ctx, inTime)
		defer cancel()
		err := t.store.touch(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.checking = false
		if err == nil {
			t.store.log.Info("the database is back", "after", time.Since(t.since).Round(time.Millisecond).String())
			t.since = time.Time{}
		}
	})
}

// touch commits a write without effect. If commits wait for a standby, all earlier commits have reached it when touch
// returns.
func (s *Store) touch(ctx context.Context) error {
	_, err := s.pool().Exec(ctx, touch)
	return err
}

const touch = "UPDATE counters SET value = value WHERE name = 'pending'"

// Confirm implements fleet.Confirmer.
func (s *Store) Confirm(ctx context.Context) error {
	if !s.primary.Load().synchronous {
		return nil
	}
	return s.call(ctx, func(ctx context.Context) error {
		_, err := s.confirms.Run(ctx, struct{}{})
		return err
	})
}

func (s *Store) confirmAll(ctx context.Context, _ []*group.Job[struct{}]) error {
	ctx, cancel := s.within(ctx, inTime)
	defer cancel()
	return s.touch(ctx)
}

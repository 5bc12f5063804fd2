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

// A primary is the server of the database that takes writes, and the connections to it. When it is lost, all calls end that
// wait for it, and its connections are given up together: whoever asks them one by one waits for each.
type primary struct {
	pool  *pgxpool.Pool
	begun string          // when the server of the database started; "" if it does not say
	lost  context.Context // ends when the primary is lost
	lose  context.CancelFunc
	// synchronous says that a commit waits for a standby. What a read shows may then be lost: see Store.Confirm.
	synchronous bool
	// pooled says that a pooler is in between: sessions are not the server's own.
	pooled bool
}

func (p *primary) close() {
	p.lose()
	p.pool.Close() // waits for the calls under way, which have ended
}

var errLost = fmt.Errorf("%w: no server of the database takes writes", fleet.ErrOutage)

// pool returns the connections to the primary, or to the one that was lost last.
func (s *Store) pool() *pgxpool.Pool { return s.primary.Load().pool }

// within bounds a context by a time and by the loss of the primary.
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

// seek asks all hosts at the same time, as one that is dead may not even refuse. It returns a connection to the first that
// takes writes.
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
				// A database that does not know the question is one that takes writes.
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

// release closes a connection without a wait for the other side.
func release(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), seekTime)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost
}

// find returns a connection to the primary, and what is known of it. Behind a pooler it connects again, without statements
// that have names: these belong to sessions, which a pooler in transaction mode mixes.
func (s *Store) find(ctx context.Context) (*pgx.Conn, *primary, error) {
	for {
		conn, host, err := s.seek(ctx)
		if err != nil {
			return nil, nil, err
		}
		p, err := s.know(ctx, conn, host)
		if err != nil {
			release(conn)
			return nil, nil, err
		}
		if !p.pooled || host.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheDescribe {
			return conn, p, nil
		}
		p.close()
		release(conn)
		nameless := make([]*pgxpool.Config, len(s.hosts)) // a search that has ended may still read the others
		for i, host := range s.hosts {
			nameless[i] = host.Copy()
			nameless[i].ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		s.hosts = nameless
	}
}

// know returns a primary, after a few questions on a connection to it. Databases that do not know a question go without.
func (s *Store) know(ctx context.Context, conn *pgx.Conn, host *pgxpool.Config) (*primary, error) {
	p := &primary{begun: ask(ctx, conn, "SELECT pg_postmaster_start_time()::text")}
	p.synchronous = strings.TrimSpace(ask(ctx, conn, "SHOW synchronous_standby_names")) != ""
	// A pooler tells clients a process of its own making.
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

// ask returns the text that answers a question; "" for none.
func ask(ctx context.Context, conn *pgx.Conn, question string) (text string) {
	ctx, cancel := context.WithTimeout(ctx, seekTime)
	defer cancel()
	if conn.QueryRow(ctx, question, pgx.QueryExecModeSimpleProtocol).Scan(&text) != nil {
		return ""
	}
	return text
}

// regain finds the primary again after its watch has failed, and returns a connection to it; nil when ctx ends. If the same
// server still answers, its other connections stay: it may only be slow.
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

// trouble logs when the database begins to fail, and when it takes writes again: one line each, however many calls fail.
type trouble struct {
	store *Store

	mu       sync.Mutex // guards what follows
	since    time.Time  // zero: there is none
	checking bool
}

func (t *trouble) begin(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.since = time.Now()
		t.store.log.Error("the database fails: devices that repeat their last poll are answered, all else is refused; trying on", "error", err)
	}
}

// limit returns how long the database may take for an operation. While it fails nothing waits for long: those who wait keep
// others from being answered that need no database.
func (t *trouble) limit() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return inTime
	}
	return lookTime
}

// check looks in the background whether the trouble is over.
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

// touch commits a write that changes nothing. If commits wait for a standby, all earlier ones are there when it returns.
func (s *Store) touch(ctx context.Context) error {
	_, err := s.pool().Exec(ctx, touch)
	return err
}

const touch = "UPDATE counters SET value = value WHERE name = 'pending'"

// Confirm is as of fleet.Confirmer.
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

// Package sqlite keeps the fleet's state in one SQLite file: the store of a server that needs no set-up.
//
// One goroutine writes. It commits whatever has queued while the commit before it was reaching the disk, so that many
// polls share one fsync (group commit), and answers a caller after the commit that has its write. The journal is a WAL,
// synchronous is FULL: what was acknowledged survives kill -9 and loss of power. Reads go past the writer, and a report
// that repeats the device's last one goes past the file.
//
// One process owns the file; a second is refused (ErrInUse). Reading it with other programs is fine.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is the number of connections that read: more than a small machine has cores gains nothing.
const readers = 4

// Store is a fleet.Store in a file.
type Store struct {
	path   string
	lock   *flock.Flock
	read   *sql.DB
	write  *sql.DB
	writer *writer

	device, count *sql.Stmt
	last          lastReports

	// target is what the file holds: this process is the only one that writes it.
	target atomic.Pointer[fleet.Config]

	mu     sync.RWMutex // guards closed; held for reading by each call under way
	closed bool
}

var (
	_ fleet.Store      = (*Store)(nil)
	_ fleet.Maintainer = (*Store)(nil)
)

// Open opens the store in the file at path, or makes it, with its directory, where there is nothing at all. It never
// starts empty in the place of what it cannot read: ErrInUse, ErrDamaged, ErrForeign and ErrNewer say why not, and the
// text what to do.
func Open(ctx context.Context, path string) (*Store, error) {
	store, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet's state in %q: %w", path, explain(err))
	}
	return store, nil
}

func open(ctx context.Context, path string) (_ *Store, err error) {
	// A file of two names has one owner all the same.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	store := &Store{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.release())
		}
	}()
	if err := createIfMissing(ctx, path); err != nil {
		return nil, err
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	if store.write, err = sql.Open("sqlite", dataSource(path, "_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"+
		"&_pragma=journal_size_limit(67108864)")); err != nil {
		return nil, err
	}
	store.write.SetMaxOpenConns(1)
	if err := checkContent(ctx, store.write, path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, store.write); err != nil {
		return nil, err
	}
	if store.read, err = sql.Open("sqlite", dataSource(path, "_pragma=query_only(1)")); err != nil {
		return nil, err
	}
	store.read.SetMaxOpenConns(readers)
	store.read.SetMaxIdleConns(readers)
	if err := store.prepare(ctx); err != nil {
		return nil, err
	}
	store.writer, err = startWriter(ctx, store.write)
	return store, err
}

func (s *Store) prepare(ctx context.Context) (err error) {
	for _, query := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&s.device, "SELECT d.uuid, d.registered, d.ip_address, d.public_key_rsa, d.arch, r.config" +
			" FROM devices d JOIN reports r ON r.device = d.id WHERE d.uuid = ?"},
		{&s.count, "SELECT count(*) FROM devices"},
	} {
		if *query.statement, err = s.read.PrepareContext(ctx, query.text); err != nil {
			return err
		}
	}
	var text []byte
	err = s.read.QueryRowContext(ctx, "SELECT config FROM target WHERE id = 1").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		text, err = []byte("{}"), nil
	}
	if err != nil {
		return err
	}
	config, err := fleet.LoadConfig(text)
	if err != nil {
		return fmt.Errorf("%w: its target: %w", ErrDamaged, err)
	}
	s.target.Store(&config)
	return nil
}

// use keeps the store open during a call; the caller must call s.mu.RUnlock when it returns nil.
func (s *Store) use(ctx context.Context) error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fleet.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		s.mu.RUnlock()
		return err
	}
	return nil
}

// fail words the trouble of an access.
func (s *Store) fail(act string, err error) error {
	if err == nil || errors.Is(err, fleet.ErrUnknownDevice) || errors.Is(err, fleet.ErrExists) {
		return err
	}
	return fmt.Errorf("cannot %s %q: %w", act, s.path, explain(err))
}

// Device implements fleet.Store.
func (s *Store) Device(ctx context.Context, id uuid.UUID) (fleet.Device, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Device{}, err
	}
	defer s.mu.RUnlock()
	// Once begun it does not watch the context: that would take a goroutine, which costs more than the look-up.
	device, err := scan(s.device.QueryRowContext(context.WithoutCancel(ctx), id[:]))
	if err != nil {
		return fleet.Device{}, s.fail("read a device from", unknown(err))
	}
	return device, nil
}

// scan reads a device's row.
func scan(row *sql.Row) (fleet.Device, error) {
	var device fleet.Device
	var id, text []byte
	var registered int64
	err := row.Scan(&id, &registered, &device.IPAddress, &device.PublicKeyRSA, &device.Arch, &text)
	if err != nil {
		return fleet.Device{}, err
	}
	if device.ID, err = uuid.FromBytes(id); err != nil {
		return fleet.Device{}, fmt.Errorf("%w: a device's UUID: %w", ErrDamaged, err)
	}
	if device.Config, err = fleet.LoadConfig(text); err != nil {
		return fleet.Device{}, fmt.Errorf("%w: a report: %w", ErrDamaged, err)
	}
	device.Registered = time.Unix(registered, 0).UTC()
	return device, nil
}

func unknown(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.ErrUnknownDevice
	}
	return err
}

// Target implements fleet.Store. It reads no disk.
func (s *Store) Target(ctx context.Context) (fleet.Config, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Config{}, err
	}
	defer s.mu.RUnlock()
	return *s.target.Load(), nil
}

// Count implements fleet.Store.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	return n, s.fail("count the devices in", s.count.QueryRowContext(ctx).Scan(&n))
}

// Add implements fleet.Store.
func (s *Store) Add(ctx context.Context, device fleet.Device) (fleet.Device, error) {
	kept := device
	err := s.change(ctx, "keep a device in", func(*sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		digest := keyDigest(device.PublicKeyRSA)
		if known, err := scan(s.writer.byKey.QueryRowContext(ctx, digest)); !errors.Is(err, sql.ErrNoRows) {
			kept = known
			return err
		}
		result, err := s.writer.addDevice.ExecContext(ctx, device.ID[:], device.Registered.Unix(), device.IPAddress,
			device.PublicKeyRSA, device.Arch, digest)
		var refused *sqlite.Error
		if errors.As(err, &refused) && refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			return fleet.ErrExists
		}
		if err != nil {
			return err
		}
		row, err := result.LastInsertId()
		if err != nil {
			return err
		}
		_, err = s.writer.addReport.ExecContext(ctx, row, []byte(device.Config.String()), device.Registered.Unix())
		return err
	}, nil)
	if err != nil {
		return fleet.Device{}, err // the writer may still be at it, and use kept
	}
	return kept, nil
}

// Report implements fleet.Store.
func (s *Store) Report(ctx context.Context, id uuid.UUID, config fleet.Config, at time.Time) error {
	report := digestOf(config.String())
	if err := s.use(ctx); err != nil {
		return err
	}
	repeated := s.last.is(id, report)
	s.mu.RUnlock()
	if repeated {
		return nil
	}
	return s.change(ctx, "keep a report in", func(*sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		var last []byte
		err := s.writer.reported.QueryRowContext(ctx, id[:]).Scan(&last)
		if err != nil || string(last) == config.String() {
			return unknown(err)
		}
		s.last.forget(id)
		_, err = s.writer.report.ExecContext(ctx, []byte(config.String()), at.Unix(), id[:])
		return err
	}, func() { s.last.keep(id, report) })
}

// SetTarget implements fleet.Store.
func (s *Store) SetTarget(ctx context.Context, config fleet.Config, at time.Time) error {
	return s.change(ctx, "keep the target in", func(tx *sql.Conn) error {
		_, err := tx.ExecContext(context.WithoutCancel(ctx), "INSERT INTO target (id, config, changed) VALUES (1, ?, ?)"+
			" ON CONFLICT (id) DO UPDATE SET config = excluded.config, changed = excluded.changed",
			[]byte(config.String()), at.Unix())
		return err
	}, func() { s.target.Store(&config) })
}

// change has the writer do something; committed, if not nil, is called after the commit, in the order of commits.
func (s *Store) change(ctx context.Context, act string, do func(*sql.Conn) error, committed func()) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	return s.fail(act, s.writer.do(ctx, job{ctx: ctx, do: do, committed: committed}))
}

// Maintain moves the write-ahead log into the database proper, as far as readers let it. It is cheap when there is
// nothing to move.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	return s.fail("tidy", s.writer.do(ctx, job{ctx: ctx, alone: true, do: func(conn *sql.Conn) error {
		// Writers wait meanwhile: where readers are in the way, the next round is soon enough.
		for _, statement := range []string{"PRAGMA busy_timeout = 100", "PRAGMA wal_checkpoint(TRUNCATE)",
			"PRAGMA busy_timeout = " + busyTimeout} {
			if _, err := conn.ExecContext(context.WithoutCancel(ctx), statement); err != nil {
				return err
			}
		}
		return nil
	}}))
}

// Close implements fleet.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.release(); err != nil {
		return fmt.Errorf("cannot close the fleet's state in %q: %w", s.path, err)
	}
	return nil
}

// release gives back what has been opened. The readers go first: the last connection to close folds the log into the
// database, which a reader may not.
func (s *Store) release() error {
	var failed []error
	if s.writer != nil {
		failed = append(failed, s.writer.stop())
	}
	for _, statement := range []*sql.Stmt{s.device, s.count} {
		if statement != nil {
			failed = append(failed, statement.Close())
		}
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	// The file with the name of its holder stays: to remove it would let a third process lock a new one of that name
	// while a second holds the removed one.
	return errors.Join(append(failed, os.Truncate(s.lock.Path(), 0), s.lock.Unlock())...)
}

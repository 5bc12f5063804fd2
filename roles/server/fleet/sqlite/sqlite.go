// Package sqlite stores the fleet's state in one SQLite file: the embedded store, which needs no set-up. Its main type
// is Store. Package fleet has the rules, and package rows what both stores share.
//
// One goroutine writes. While a commit reaches the disk, further writes queue; the next commit has all of them, so that
// many polls share one fsync (group commit). A caller gets its answer after the commit with its write. The journal is a
// WAL, and synchronous is FULL: acknowledged writes survive kill -9 and loss of power. Reads do not wait for the
// writer, and the store remembers recently read values until somebody writes them (recent.go).
//
// One process owns the file; Open returns ErrInUse for a second one. Other programs may read the file. Commands may
// change tokens and named secrets beside the owner (beside.go), which checks for such changes every second (others.go).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// readers is the number of reading connections. More than a small machine has cores would gain nothing.
const readers = 4

// Store is a fleet.Store in a file.
//
// It has many methods because each call of fleet.Store is one, and many fields because each prepared statement is one.
type Store struct {
	path          string
	lock          *flock.Flock // nil if another process owns the file
	read          *sql.DB
	write         *sql.DB
	writer        *writer
	adds          *group.Group[add]
	hub           fleet.Hub
	others        others
	recentDevices recent[uuid.UUID, fleet.Device]
	recentLayers  recent[fleet.LayerName, fleet.Layer] // layers of many devices; with revision 0 if there is no such layer

	// The statements that read.
	device, byKeyID, devices, mute, configs, number, named, ids, count, stats, samples, labelSets, standings, census, layers, concerns, layer, deviceLayers,
	history, historyOf, entries, entriesOf, lastChange, entry, layerAt, secrets *sql.Stmt

	mu     sync.RWMutex // guards closed; each running call holds it for reading
	closed bool
}

var (
	_ fleet.Store      = (*Store)(nil)
	_ fleet.Maintainer = (*Store)(nil)
)

// Open opens the store in the file at path. If nothing exists there, it makes the file and its directory. It never
// replaces a file that it cannot read by an empty one: it then returns ErrInUse, ErrDamaged, ErrForeign or ErrNewer,
// and the text says what to do.
func Open(ctx context.Context, path string) (*Store, error) {
	store, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet's state in %q: %w", path, explain(err))
	}
	return store, nil
}

func open(ctx context.Context, path string) (_ *Store, err error) {
	path = realPath(path)
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	return openLocked(ctx, path, lock)
}

// realPath resolves links, so that a file with two names has one owner.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openLocked opens a file for its owner. With a nil lock it opens the file beside the owner.
func openLocked(ctx context.Context, path string, lock *flock.Flock) (_ *Store, err error) {
	store := &Store{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.release())
		}
	}()
	if err := createIfMissing(ctx, path); err != nil {
		return nil, err
	}
	if err := checkFile(path, damageRemedy); err != nil {
		return nil, err
	}
	// The log grows to 8192 pages of 4 kB before it is moved into the database, so that an index page that many commits
	// write is moved once.
	if store.write, err = sql.Open("sqlite", dataSource(path, "_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"+
		"&_pragma=journal_size_limit(67108864)&_pragma=wal_autocheckpoint(8192)")); err != nil {
		return nil, err
	}
	store.write.SetMaxOpenConns(1)
	if err := checkContent(ctx, store.write, path); err != nil {
		return nil, err
	}
	// A backup that somebody has copied here has another kind of journal.
	if _, err := store.write.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
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
	if store.writer, err = startWriter(ctx, store); err != nil {
		return nil, err
	}
	store.adds = group.New(context.WithoutCancel(ctx), 1, maxBatch, store.addAll)
	store.adds.Linger = addLinger
	store.followOthers()
	return store, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	for _, query := range s.statements() {
		if *query.statement, err = s.read.PrepareContext(ctx, query.text); err != nil {
			return err
		}
	}
	// Everything on which all devices depend is read now, not at the first poll.
	_, err = s.Targets(ctx)
	return err
}

func (s *Store) statements() []query {
	return []query{
		{&s.device, oneDevice + " WHERE d.uuid = ?"},
		{&s.byKeyID, oneDevice + " WHERE d.key_id = ? ORDER BY d.id LIMIT 1"},
		{&s.devices, someDevices + orderDevices},
		{&s.configs, withConfigs + orderDevices},
		{&s.mute, someDevices + " AND " + rows.IsMute + orderDevices},
		{&s.number, "SELECT id FROM devices WHERE uuid = ?"},
		{&s.named, "SELECT uuid FROM devices WHERE name = ?"},
		{&s.ids, "SELECT uuid FROM devices WHERE uuid BETWEEN ? AND ? ORDER BY uuid LIMIT ?"},
		{&s.count, "SELECT count(*) FROM devices"},
		{&s.stats, "SELECT at, text FROM stats WHERE device = ? AND at >= ? ORDER BY at"},
		{&s.samples, "SELECT at, text FROM samples WHERE at >= ? ORDER BY at"},
		{&s.labelSets, "SELECT id, labels FROM label_sets"},
		{&s.standings, "SELECT " + fmt.Sprintf(rows.StandingColumns, "label_set", "?", "?") +
			" FROM standings GROUP BY 1, 2, 3, 4, 5, 6"},
		{&s.census, "SELECT " + fmt.Sprintf(rows.CountedColumns, "label_set") + " FROM devices d JOIN standings s ON s.device = d.id"},
		{&s.layers, selectLayer + " ORDER BY priority, name"},
		{&s.concerns, "SELECT selector, revision, waiting FROM concerns ORDER BY selector"},
		{&s.secrets, selectSecret + " ORDER BY name"},
		{&s.layer, selectLayer + " WHERE name = ?"},
		{&s.deviceLayers, "SELECT " + rows.DeviceLayerColumns + " FROM device_layers o" +
			" JOIN devices d ON d.id = o.device WHERE o.device > ? AND instr(o.config, ?) > 0 ORDER BY o.device LIMIT ?"},
		{&s.history, selectBrief + " WHERE revision < ? ORDER BY revision DESC LIMIT ?"},
		{&s.historyOf, selectBrief + " WHERE layer = ? AND revision < ? ORDER BY revision DESC LIMIT ?"},
		{&s.entries, selectEntry + " WHERE revision < ? ORDER BY revision DESC LIMIT ?"},
		{&s.entriesOf, selectEntry + " WHERE layer = ? AND revision < ? ORDER BY revision DESC LIMIT ?"},
		{&s.lastChange, "SELECT revision FROM history WHERE action IN (1, 2) ORDER BY revision DESC LIMIT 1"},
		{&s.entry, selectEntry + " WHERE revision = ?"},
		{&s.layerAt, selectEntry + " WHERE layer = ? AND revision <= ? AND action IN (1, 2) ORDER BY revision DESC LIMIT 1"},
	}
}

// use prevents that the store is closed during a call. After a nil error the caller must call s.mu.RUnlock.
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

// fail returns an error for an access to the file.
func (s *Store) fail(act string, err error) error {
	if err == nil || rows.Refusal(err) {
		return err
	}
	return fmt.Errorf("cannot %s %q: %w", act, s.path, explain(err))
}

// Changes implements fleet.Store.
func (s *Store) Changes(ctx context.Context) (<-chan fleet.Notice, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	return s.hub.Listen(ctx)
}

// change runs a job of the writer that changes only the devices and layers of scope. committed, if not nil, returns the
// notices that are sent after the commit, in the order of commits. If the job belongs to an act of package audit, it
// has a record.
func (s *Store) change(
	ctx context.Context, act string, scope scope, do func(*sql.Conn) error, committed func() []fleet.Notice,
) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	err := s.fail(act, s.writer.do(ctx, job{scope: scope, do: recorded(ctx, do), committed: committed}))
	if err == nil {
		audit.From(ctx).Committed()
	}
	return err
}

// Maintain moves the write-ahead log into the database, as far as readers permit. It costs little if there is nothing
// to move.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	return s.fail("tidy", s.writer.alone(func(conn *sql.Conn) error {
		// Writers wait meanwhile. If readers are in the way, the next call is soon enough.
		for _, statement := range []string{"PRAGMA busy_timeout = 100", "PRAGMA wal_checkpoint(TRUNCATE)",
			"PRAGMA busy_timeout = " + busyTimeout} {
			if _, err := conn.ExecContext(context.WithoutCancel(ctx), statement); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Close implements fleet.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.others.stop()
	s.hub.Close()
	if err := s.release(); err != nil {
		return fmt.Errorf("cannot close the fleet's state in %q: %w", s.path, err)
	}
	return nil
}

// release closes everything that is open. The readers close first: the last connection moves the log into the database,
// which a reader may not.
func (s *Store) release() error {
	var failed []error
	if s.adds != nil {
		s.adds.Close()
	}
	if s.writer != nil {
		failed = append(failed, s.writer.stop())
	}
	for _, query := range s.statements() {
		if *query.statement != nil {
			failed = append(failed, (*query.statement).Close())
		}
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			failed = append(failed, db.Close())
		}
	}
	if s.lock == nil {
		return errors.Join(failed...)
	}
	// The file with the name of its holder stays. Its removal would let a third process lock a new file with that name
	// while a second process locks the removed one.
	return errors.Join(append(failed, os.Truncate(s.lock.Path(), 0), s.lock.Unlock())...)
}

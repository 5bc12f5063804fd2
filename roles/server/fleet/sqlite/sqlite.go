// Package sqlite stores the fleet's state in one SQLite file: the embedded store, which needs no set-up. Its main type
// is Store.
//
// One goroutine writes. While a commit reaches the disk, further writes queue; the next commit has all of them, so that
// many polls share one fsync (group commit). A caller gets its answer after the commit that has its write. The journal
// is a WAL, and synchronous is FULL: what was acknowledged survives kill -9 and loss of power. Reads do not wait for
// the writer, and the store remembers what it has read lately until somebody writes it (recent.go).
//
// One process owns the file; Open refuses a second one (ErrInUse). Other programs may read the file. Commands may change
// tokens and named secrets beside the owner (beside.go), which looks for such changes every second (others.go).
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

// readers is the number of connections that read: more than a small machine has cores gains nothing.
const readers = 4

// Store is a fleet.Store in a file.
//
// It has many fields and methods because each call of fleet.Store is a method, and each prepared statement is a field.
type Store struct {
	path          string
	lock          *flock.Flock // nil: of another process
	read          *sql.DB
	write         *sql.DB
	writer        *writer
	adds          *group.Group[add]
	hub           fleet.Hub
	others        others
	recentDevices recent[uuid.UUID, fleet.Device]
	recentLayers  recent[fleet.LayerName, fleet.Layer] // of many devices; of revision 0 where there is none

	// What reads.
	device, byKeyID, devices, mute, configs, number, named, ids, count, stats, samples, labelSets, standings, census, layers, concerns, layer, deviceLayers,
	history, historyOf, entries, entriesOf, lastChange, entry, layerAt, secrets *sql.Stmt

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
	path = realPath(path)
	lock, err := acquire(path)
	if err != nil {
		return nil, err
	}
	return openLocked(ctx, path, lock)
}

// realPath follows links: a file of two names has one owner all the same.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openLocked opens a file for its owner, or for one who works beside the owner, with a nil lock.
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
	// The log grows to 8192 pages of 4 kB before it is moved into the database: a page of an index that many commits write
	// is moved once.
	if store.write, err = sql.Open("sqlite", dataSource(path, "_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"+
		"&_pragma=journal_size_limit(67108864)&_pragma=wal_autocheckpoint(8192)")); err != nil {
		return nil, err
	}
	store.write.SetMaxOpenConns(1)
	if err := checkContent(ctx, store.write, path); err != nil {
		return nil, err
	}
	// A backup that was copied here by hand has another kind of journal.
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
	// What every device depends on is looked at now, not by the first that comes.
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

// change has the writer do something that changes no device or layer but those of scope. What committed, if not nil,
// returns is told after the commit, in the order of commits. If it is a part of an act of package audit, it has a record.
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

// Maintain moves the write-ahead log into the database proper, as far as readers let it. It is cheap when there is
// nothing to move.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	return s.fail("tidy", s.writer.alone(func(conn *sql.Conn) error {
		// Writers wait meanwhile: where readers are in the way, the next round is soon enough.
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

// release gives back what has been opened. The readers go first: the last connection to close folds the log into the
// database, which a reader may not.
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
	// The file with the name of its holder stays: to remove it would let a third process lock a new one of that name
	// while a second holds the removed one.
	return errors.Join(append(failed, os.Truncate(s.lock.Path(), 0), s.lock.Unlock())...)
}

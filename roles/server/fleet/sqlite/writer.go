package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// maxBatch is the largest number of jobs in a commit, so that the first job of a crowd does not wait for the last.
const maxBatch = 512

// A job is a write.
type job struct {
	scope     scope
	do        func(*sql.Conn) error
	committed func() []fleet.Notice // called after the commit, in the order of commits; nil for no notices
}

// A scope says what a job may change: some devices with their other rows, and layers of many devices; or everything.
type scope struct {
	all     bool
	devices []uuid.UUID
	layers  []fleet.LayerName
}

// ofDevice returns the scope of one device.
func ofDevice(id uuid.UUID) scope { return scope{devices: []uuid.UUID{id}} }

// A writer runs jobs, one batch after the other.
//
// It has many fields because each prepared statement is one.
type writer struct {
	jobs *group.Group[job]

	mu   sync.Mutex // held during a write
	conn *sql.Conn

	hub     *fleet.Hub
	devices *recent[uuid.UUID, fleet.Device]
	layers  *recent[fleet.LayerName, fleet.Layer]

	labels map[string]int64 // numbers of sets of labels, without those of a transaction that was rolled back

	// The statements of jobs for many devices.
	device, number, byKey, addDevice, addReports, addStandings, labelSet, addLabelSet, reported, report, verdict, seen,
	addStats, thin *sql.Stmt
}

func startWriter(ctx context.Context, store *Store) (*writer, error) {
	conn, err := store.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, hub: &store.hub, devices: &store.recentDevices, layers: &store.recentLayers,
		labels: map[string]int64{}}
	for _, query := range w.statements() {
		if *query.statement, err = conn.PrepareContext(ctx, query.text); err != nil {
			return nil, errors.Join(err, w.release())
		}
	}
	if err := store.others.begin(ctx, conn); err != nil {
		return nil, errors.Join(err, w.release())
	}
	w.jobs = group.New(context.WithoutCancel(ctx), 1, maxBatch, w.commit)
	return w, nil
}

// A query is a statement to prepare.
type query struct {
	statement **sql.Stmt
	text      string
}

func (w *writer) statements() []query {
	return []query{
		{&w.device, oneDevice + " WHERE d.uuid = ?"},
		{&w.number, "SELECT id FROM devices WHERE uuid = ?"},
		{&w.byKey, "SELECT uuid FROM devices WHERE key_digest = ? ORDER BY id LIMIT 1"},
		// A known or revoked key gives a row without a UUID, which NOT NULL refuses. With a WHERE, SQLite would first
		// copy the row into a temporary table.
		{&w.addDevice, "INSERT INTO devices (uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id)" +
			" VALUES (CASE WHEN EXISTS (SELECT 1 FROM devices WHERE key_digest = ?6)" +
			" OR EXISTS (SELECT 1 FROM revoked_keys WHERE key_id = ?8) THEN NULL ELSE ?1 END, ?2, ?3, ?4, ?5, ?6, ?7)"},
		{&w.addReports, "INSERT INTO reports (device, config, at)" +
			" SELECT id, CAST('{}' AS BLOB), 0 FROM devices WHERE id BETWEEN ? AND ?"},
		{&w.addStandings, "INSERT INTO standings (device, status, label_set, own_revision, state, verdict_revision, last_seen)" +
			" SELECT id, ?, ?, 0, 0, 0, registered FROM devices WHERE id BETWEEN ? AND ?"},
		{&w.labelSet, "SELECT id FROM label_sets WHERE labels = ?"},
		{&w.addLabelSet, "INSERT INTO label_sets (labels) VALUES (?)"},
		{&w.reported, "SELECT d.id, r.sequence FROM devices d JOIN reports r ON r.device = d.id WHERE d.uuid = ?"},
		{&w.report, "UPDATE reports SET config = ?, at = ?, sequence = ?, instance = ?, running_revision = ?, running_hash = ?," +
			" attempted_revision = ?, attempted_outcome = ?, attempted_path = ?, attempted_reason = ?, attempted_at = ? WHERE device = ?"},
		{&w.verdict, "UPDATE standings SET state = ?, verdict_revision = ?, says = ? WHERE device = ?"},
		{&w.seen, "UPDATE standings SET last_seen = max(last_seen, ?), twins = max(twins, ?) WHERE device = ?"},
		{&w.addStats, "INSERT OR REPLACE INTO stats (device, at, text) VALUES (?, ?, ?)"},
		{&w.thin, "DELETE FROM stats WHERE device = ? AND at < ? AND coalesce(at % ?, 1) <> 0"},
	}
}

func (w *writer) release() error {
	var failed []error
	for _, query := range w.statements() {
		if *query.statement != nil {
			failed = append(failed, (*query.statement).Close())
		}
	}
	return errors.Join(append(failed, w.conn.Close())...)
}

// do queues a job and waits for its commit.
func (w *writer) do(ctx context.Context, work job) error {
	_, err := w.jobs.Run(ctx, work)
	return err
}

// alone runs do outside of a transaction.
func (w *writer) alone(do func(*sql.Conn) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return do(w.conn)
}

// stop runs the queued jobs, and ends the writer.
func (w *writer) stop() error {
	w.jobs.Close()
	return w.release()
}

// commit runs a batch in one transaction. A job may have a refusal by the rules, and has then written nothing. An error
// of commit undoes all jobs. ctx belongs to no caller, because one caller's end must not undo the writes of others.
func (w *writer) commit(ctx context.Context, batch []*group.Job[job]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, work := range batch {
		w.devices.begin(work.Want.scope.devices, work.Want.scope.all)
		w.layers.begin(work.Want.scope.layers, work.Want.scope.all)
	}
	err := w.transact(ctx, batch)
	w.devices.end()
	w.layers.end()
	if err != nil {
		return err
	}
	var notices []fleet.Notice
	devices := map[fleet.NoticeKind][]uuid.UUID{} // one notice for all
	for _, work := range batch {
		if work.Err != nil || work.Want.committed == nil {
			continue
		}
		for _, notice := range work.Want.committed() {
			if notice.Own = true; notice.Devices != nil {
				devices[notice.Kind] = append(devices[notice.Kind], notice.Devices...)
			} else {
				notices = append(notices, notice)
			}
		}
	}
	for kind, of := range devices {
		notices = append(notices, fleet.Notice{Kind: kind, Own: true, Devices: of})
	}
	w.hub.Send(notices...)
	return nil
}

func (w *writer) transact(ctx context.Context, batch []*group.Job[job]) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, work := range batch {
		if work.Err = work.Want.do(w.conn); work.Err != nil && !rows.Refusal(work.Err) {
			w.rollback(ctx)
			return work.Err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		w.rollback(ctx)
		return err
	}
	return nil
}

// rollback ends a failed transaction. SQLite may have done so already, and then returns an error; the callers get the
// first error.
func (w *writer) rollback(ctx context.Context) {
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	clear(w.labels)
}

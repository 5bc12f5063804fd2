package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// maxBatch bounds what one commit takes, so that the first of a crowd does not wait for the last.
const maxBatch = 512

// A job is something to write.
type job struct {
	ctx       context.Context // of the caller: a job whose caller has gone before its turn is not done
	scope     scope
	do        func(*sql.Conn) error
	committed func() []fleet.Notice // after the commit, in the order of commits; nil: nothing
	alone     bool                  // outside of any transaction
	done      chan error
}

// A scope is what a job may change: devices, with what is kept beside them, and layers of many devices.
type scope struct {
	devices []uuid.UUID
	layers  []fleet.LayerName
}

// ofDevice is the scope of what concerns one device.
func ofDevice(id uuid.UUID) scope { return scope{devices: []uuid.UUID{id}} }

// A writer is the one goroutine that writes.
type writer struct {
	conn  *sql.Conn
	jobs  chan job
	ended chan struct{}

	hub     *fleet.Hub
	devices *recent[uuid.UUID, fleet.Device]
	layers  *recent[fleet.LayerName, fleet.Layer]

	labels map[string]int64 // numbers of sets of labels; those of a transaction that was rolled back are not in here

	// What jobs run for many devices.
	device, number, byKey, addDevice, addReport, addStanding, labelSet, addLabelSet, reported, report, verdict, seen,
	addStats, thin *sql.Stmt
}

func startWriter(ctx context.Context, store *Store) (*writer, error) {
	conn, err := store.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, jobs: make(chan job, maxBatch), ended: make(chan struct{}), hub: &store.hub,
		devices: &store.recentDevices, layers: &store.recentLayers, labels: map[string]int64{}}
	for _, query := range w.statements() {
		if *query.statement, err = conn.PrepareContext(ctx, query.text); err != nil {
			return nil, errors.Join(err, w.release())
		}
	}
	go w.run()
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
		{&w.addDevice, "INSERT INTO devices (uuid, registered, ip_address, public_key_rsa, arch, key_digest, key_id)" +
			" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM devices WHERE key_digest = ?6)" +
			" AND NOT EXISTS (SELECT 1 FROM revoked_keys WHERE key_id = ?7)"},
		{&w.addReport, "INSERT INTO reports (device, config, at) VALUES (?, CAST('{}' AS BLOB), 0)"},
		{&w.addStanding, "INSERT INTO standings (device, status, label_set, own_revision, state, verdict_revision, last_seen)" +
			" VALUES (?, ?, ?, 0, 0, 0, ?)"},
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

// do queues a job and waits for its commit. It must not be called during or after stop.
func (w *writer) do(ctx context.Context, work job) error {
	work.done = make(chan error, 1)
	select {
	case w.jobs <- work:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-work.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop does what is queued, and ends.
func (w *writer) stop() error {
	close(w.jobs)
	<-w.ended
	return w.release()
}

func (w *writer) run() {
	defer close(w.ended)
	batch := make([]job, 0, maxBatch)
	for first := range w.jobs {
		if first.alone {
			first.done <- first.do(w.conn)
			continue
		}
		batch = append(batch[:0], first)
		var last *job
		batch, last = w.gather(batch)
		w.commit(batch)
		if last != nil {
			last.done <- last.do(w.conn)
		}
	}
}

// gather adds what is queued already. A job to be done alone ends the batch, and is returned beside it.
func (w *writer) gather(batch []job) ([]job, *job) {
	for len(batch) < maxBatch {
		select {
		case next, open := <-w.jobs:
			if !open {
				return batch, nil
			}
			if next.alone {
				return batch, &next
			}
			batch = append(batch, next)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit does a batch in one transaction and answers each job after it: with the rules' own refusal of that job, which
// wrote nothing, or with the trouble that undid all of them.
func (w *writer) commit(batch []job) {
	outcome := make([]error, len(batch))
	for _, work := range batch {
		w.devices.begin(work.scope.devices)
		w.layers.begin(work.scope.layers)
	}
	err := w.transact(batch, outcome)
	w.devices.end()
	w.layers.end()
	var told []fleet.Notice
	devices := map[fleet.NoticeKind][]uuid.UUID{} // one notice for all
	for i, work := range batch {
		if err != nil {
			outcome[i] = err
		} else if outcome[i] == nil && work.committed != nil {
			for _, notice := range work.committed() {
				if notice.Own = true; notice.Devices != nil {
					devices[notice.Kind] = append(devices[notice.Kind], notice.Devices...)
				} else {
					told = append(told, notice)
				}
			}
		}
	}
	for kind, of := range devices {
		told = append(told, fleet.Notice{Kind: kind, Own: true, Devices: of})
	}
	w.hub.Send(told...)
	for i, work := range batch {
		work.done <- outcome[i]
	}
}

func (w *writer) transact(batch []job, outcome []error) error {
	ctx := context.Background() // one caller's end must not undo the others' writes
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i, work := range batch {
		if outcome[i] = work.ctx.Err(); outcome[i] != nil {
			continue
		}
		outcome[i] = work.do(w.conn)
		if outcome[i] != nil && !rows.Refusal(outcome[i]) {
			w.rollback(ctx)
			return outcome[i]
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		w.rollback(ctx)
		return err
	}
	return nil
}

// rollback ends a failed transaction. SQLite has done so itself after some failures, and complains then; what failed
// first is what the callers are told.
func (w *writer) rollback(ctx context.Context) {
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	clear(w.labels)
}

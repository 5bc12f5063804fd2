package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

// lastRevision selects the last revision. The history is never shortened, so it is the counter, except for the
// revisions that a restored database skips.
const lastRevision = "SELECT max(coalesce((SELECT max(revision) FROM history), 0), (SELECT floor FROM counter))"

// nextRevision returns the revision for the next entry. During a release it skips one; amid reports that. Only the
// writer calls it.
func nextRevision(ctx context.Context, conn *sql.Conn) (revision int64, amid bool, err error) {
	err = conn.QueryRowContext(ctx, "SELECT ("+lastRevision+") + 1, EXISTS (SELECT 1 FROM releases WHERE active = 1)").Scan(&revision, &amid)
	if amid {
		revision++
	}
	return revision, amid, err
}

// record writes an entry. Only the writer calls it.
func record(ctx context.Context, conn *sql.Conn, entry fleet.Entry) error {
	audit.From(ctx).Revised(entry.Revision)
	_, err := conn.ExecContext(ctx, "INSERT INTO history ("+rows.EntryColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		rows.EntryValues(entry)...)
	return err
}

const (
	selectBrief = "SELECT " + rows.BriefEntryColumns + " FROM history"
	selectEntry = "SELECT " + rows.EntryColumns + " FROM history"
)

func scanEntry(from interface{ Scan(...any) error }) (fleet.Entry, error) {
	var row rows.Entry
	if err := from.Scan(row.Into()...); err != nil {
		return fleet.Entry{}, err
	}
	entry, err := row.Entry()
	return entry, damaged(err)
}

// History implements fleet.Store.
func (s *Store) History(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, s.history, s.historyOf, layer, below, limit)
}

// Entries implements fleet.Store.
func (s *Store) Entries(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, s.entries, s.entriesOf, layer, below, limit)
}

// listEntries reads the entries of all layers, or those of one layer with the statement ofLayer.
func (s *Store) listEntries(
	ctx context.Context, ofAll, ofLayer *sql.Stmt, layer fleet.LayerName, below int64, limit int,
) (list []fleet.Entry, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	if below == 0 {
		below = math.MaxInt64
	}
	query, arguments := ofAll, []any{below, limit}
	if layer != "" {
		query, arguments = ofLayer, []any{layer, below, limit}
	}
	err = s.each(ctx, query, arguments, func(row *sql.Rows) error {
		entry, err := scanEntry(row)
		list = append(list, entry)
		return err
	})
	if err != nil {
		return nil, s.fail("read the history from", err)
	}
	return list, nil
}

// LastChange implements fleet.Store.
func (s *Store) LastChange(ctx context.Context) (revision int64, err error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	err = s.lastChange.QueryRowContext(ctx).Scan(&revision)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return revision, s.fail("read the history from", err)
}

// Entry implements fleet.Store.
func (s *Store) Entry(ctx context.Context, revision int64) (fleet.Entry, error) {
	return s.findEntry(ctx, s.entry, revision)
}

// LayerAt implements fleet.Store.
func (s *Store) LayerAt(ctx context.Context, name fleet.LayerName, revision int64) (fleet.Entry, error) {
	return s.findEntry(ctx, s.layerAt, name, revision)
}

func (s *Store) findEntry(ctx context.Context, query *sql.Stmt, arguments ...any) (fleet.Entry, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Entry{}, err
	}
	defer s.mu.RUnlock()
	entry, err := scanEntry(query.QueryRowContext(ctx, arguments...))
	if errors.Is(err, sql.ErrNoRows) {
		err = fleet.ErrUnknownEntry
	}
	return entry, s.fail("read the history from", err)
}

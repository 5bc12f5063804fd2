package postgres

import (
	"context"
	"math"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// remember adds to a batch the statement for an entry of the history.
func remember(ctx context.Context, batch *pgx.Batch, entry fleet.Entry) {
	audit.From(ctx).Revised(entry.Revision)
	batch.Queue("INSERT INTO history ("+rows.EntryColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
		rows.EntryValues(entry)...)
}

// entries reads rows of rows.EntryColumns or rows.BriefEntryColumns.
func (s *Store) entries(ctx context.Context, query string, arguments ...any) (list []fleet.Entry, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, query, arguments...)
		if err != nil {
			return err
		}
		list = nil
		var row rows.Entry
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			entry, err := row.Entry()
			list = append(list, entry)
			return err
		})
		return err
	})
	return list, err
}

// History implements fleet.Store.
func (s *Store) History(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, rows.BriefEntryColumns, layer, below, limit)
}

// Entries implements fleet.Store.
func (s *Store) Entries(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, rows.EntryColumns, layer, below, limit)
}

// listEntries reads entries with these columns: rows.EntryColumns or rows.BriefEntryColumns.
func (s *Store) listEntries(
	ctx context.Context, columns string, layer fleet.LayerName, below int64, limit int,
) ([]fleet.Entry, error) {
	if below == 0 {
		below = math.MaxInt64
	}
	query := "SELECT " + columns + " FROM history WHERE revision < $1"
	if layer == "" {
		return s.entries(ctx, query+" ORDER BY revision DESC LIMIT $2", below, limit)
	}
	return s.entries(ctx, query+" AND layer = $3 ORDER BY revision DESC LIMIT $2", below, limit, string(layer))
}

// ofLayers are the actions that change a layer.
var ofLayers = []int16{int16(fleet.Set), int16(fleet.Removed)}

// LastChange implements fleet.Store.
func (s *Store) LastChange(ctx context.Context) (revision int64, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT coalesce((SELECT revision FROM history WHERE action = ANY($1) ORDER BY revision DESC LIMIT 1), 0)",
			ofLayers).Scan(&revision)
	})
	return revision, err
}

// Entry implements fleet.Store.
func (s *Store) Entry(ctx context.Context, revision int64) (fleet.Entry, error) {
	return only(s.entries(ctx, "SELECT "+rows.EntryColumns+" FROM history WHERE revision = $1", revision))
}

// LayerAt implements fleet.Store.
func (s *Store) LayerAt(ctx context.Context, name fleet.LayerName, revision int64) (fleet.Entry, error) {
	return only(s.entries(ctx, "SELECT "+rows.EntryColumns+` FROM history
		WHERE layer = $1 AND revision <= $2 AND action = ANY($3) ORDER BY revision DESC LIMIT 1`,
		string(name), revision, ofLayers))
}

func only(list []fleet.Entry, err error) (fleet.Entry, error) {
	switch {
	case err != nil:
		return fleet.Entry{}, err
	case len(list) == 0:
		return fleet.Entry{}, fleet.ErrUnknownEntry
	}
	return list[0], nil
}

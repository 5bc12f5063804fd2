package postgres

import (
	"context"
	"math"

	"aspects-poc/roles/server/fleet"

	"github.com/jackc/pgx/v5"
)

// remember adds to a batch what writes an entry of the history.
func remember(batch *pgx.Batch, entry fleet.Entry) {
	batch.Queue("INSERT INTO history ("+entryColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		entryValues(entry)...)
}

// entryValues are those of entryColumns.
func entryValues(entry fleet.Entry) []any {
	text := func(config *fleet.Config) *string {
		if config == nil {
			return nil
		}
		text := config.String()
		return &text
	}
	return []any{entry.Revision, octets(entry.By), seconds(entry.At), string(entry.Layer), int16(entry.Action), entry.Restores,
		entry.Selector.String(), entry.Priority, text(entry.Before), text(entry.After), entry.Labels.String()}
}

const (
	entryColumns = "revision, set_by, set_at, layer, action, restores, selector, priority, before, after, labels"
	briefColumns = "revision, set_by, set_at, layer, action, restores, selector, priority, NULL::text, NULL::text, labels"
)

// entries reads rows of entryColumns or briefColumns.
func (s *Store) entries(ctx context.Context, query string, arguments ...any) (list []fleet.Entry, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, arguments...)
		if err != nil {
			return err
		}
		list = nil
		var revision, at, restores, priority int64
		var action int16
		var by octets
		var layer, selector, labels string
		var before, after *string
		_, err = pgx.ForEachRow(rows, []any{&revision, &by, &at, &layer, &action, &restores, &selector, &priority, &before,
			&after, &labels}, func() (err error) {
			entry := fleet.Entry{Revision: revision, Authorship: fleet.Authorship{By: string(by), At: moment(at)},
				Layer: fleet.LayerName(layer), Action: fleet.Action(action), Restores: restores, Priority: priority}
			if entry.Selector, err = fleet.ParseSelector(selector); err != nil {
				return err
			}
			if entry.Labels, err = fleet.LoadLabels(labels); err != nil {
				return err
			}
			for _, side := range []struct {
				text *string
				into **fleet.Config
			}{{before, &entry.Before}, {after, &entry.After}} {
				if side.text == nil {
					continue
				}
				config, err := fleet.LoadConfig([]byte(*side.text))
				if err != nil {
					return err
				}
				*side.into = &config
			}
			list = append(list, entry)
			return nil
		})
		return err
	})
	return list, err
}

// History is as of fleet.Store.
func (s *Store) History(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, briefColumns, layer, below, limit)
}

// Entries is as of fleet.Store.
func (s *Store) Entries(ctx context.Context, layer fleet.LayerName, below int64, limit int) ([]fleet.Entry, error) {
	return s.listEntries(ctx, entryColumns, layer, below, limit)
}

// listEntries reads columns, which are entryColumns or briefColumns.
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

// LastChange is as of fleet.Store.
func (s *Store) LastChange(ctx context.Context) (revision int64, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT coalesce((SELECT revision FROM history WHERE action <> $1 ORDER BY revision DESC LIMIT 1), 0)",
			int16(fleet.Relabeled)).Scan(&revision)
	})
	return revision, err
}

// Entry is as of fleet.Store.
func (s *Store) Entry(ctx context.Context, revision int64) (fleet.Entry, error) {
	return only(s.entries(ctx, "SELECT "+entryColumns+" FROM history WHERE revision = $1", revision))
}

// LayerAt is as of fleet.Store.
func (s *Store) LayerAt(ctx context.Context, name fleet.LayerName, revision int64) (fleet.Entry, error) {
	return only(s.entries(ctx, "SELECT "+entryColumns+` FROM history
		WHERE layer = $1 AND revision <= $2 AND action <> $3 ORDER BY revision DESC LIMIT 1`,
		string(name), revision, int16(fleet.Relabeled)))
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

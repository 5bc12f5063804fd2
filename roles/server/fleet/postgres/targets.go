package postgres

import (
	"context"
	"errors"
	"strconv"

	"aspects-poc/roles/server/fleet"

	"github.com/jackc/pgx/v5"
)

const layerColumns = "l.name, l.selector, l.priority, l.config, l.revision, l.set_by, l.set_at"

// A layerRow takes what layerColumns give.
type layerRow struct {
	name, selector, config string
	priority, revision, at int64
	by                     octets
}

func (r *layerRow) targets() []any {
	return []any{&r.name, &r.selector, &r.priority, &r.config, &r.revision, &r.by, &r.at}
}

func (r *layerRow) layer() (fleet.Layer, error) {
	selector, err := fleet.ParseSelector(r.selector)
	if err != nil {
		return fleet.Layer{}, err
	}
	config, err := fleet.LoadConfig([]byte(r.config))
	if err != nil {
		return fleet.Layer{}, err
	}
	return fleet.Layer{Name: fleet.LayerName(r.name), Selector: selector, Priority: r.priority, Config: config,
		Revision: r.revision, Authorship: fleet.Authorship{By: string(r.by), At: moment(r.at)}}, nil
}

// Targets is as of fleet.Store.
func (s *Store) Targets(ctx context.Context) (targets fleet.Targets, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			targets = fleet.Targets{}
			return pgx.BeginTxFunc(ctx, s.pool, moment, func(tx pgx.Tx) error { return readTargets(ctx, tx, &targets) })
		})
	})
	return targets, err
}

func readTargets(ctx context.Context, tx pgx.Tx, targets *fleet.Targets) error {
	var batch pgx.Batch
	batch.Queue("SELECT value FROM counters WHERE name = 'revision'").QueryRow(func(row pgx.Row) error {
		return row.Scan(&targets.Revision)
	})
	// A database sorts text by whatever language it was made for; names are sorted by their bytes.
	batch.Queue("SELECT " + layerColumns + " FROM layers l WHERE l.device IS NULL ORDER BY l.priority, l.name::bytea").
		Query(func(rows pgx.Rows) error {
			var row layerRow
			_, err := pgx.ForEachRow(rows, row.targets(), func() error {
				layer, err := row.layer()
				if err == nil && layer.Name == fleet.Everyone {
					targets.Everyone = layer
				} else if err == nil {
					targets.Labels = append(targets.Labels, layer)
				}
				return err
			})
			return err
		})
	batch.Queue("SELECT selector, revision FROM concerns ORDER BY selector::bytea").Query(func(rows pgx.Rows) error {
		var text string
		var concern fleet.Concern
		_, err := pgx.ForEachRow(rows, []any{&text, &concern.Revision}, func() (err error) {
			concern.Selector, err = fleet.ParseSelector(text)
			targets.Concerns = append(targets.Concerns, concern)
			return err
		})
		return err
	})
	return tx.SendBatch(ctx, &batch).Close()
}

// A querier is a connection, a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, arguments ...any) pgx.Row
}

// present returns a layer as it is, and whether there is one.
func present(ctx context.Context, from querier, name fleet.LayerName) (layer fleet.Layer, there bool, err error) {
	var row layerRow
	err = from.QueryRow(ctx, "SELECT "+layerColumns+" FROM layers l WHERE l.name = $1", string(name)).Scan(row.targets()...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fleet.Layer{}, false, nil
	case err != nil:
		return fleet.Layer{}, false, err
	}
	layer, err = row.layer()
	return layer, true, err
}

// Layer is as of fleet.Store.
func (s *Store) Layer(ctx context.Context, name fleet.LayerName) (layer fleet.Layer, err error) {
	err = s.call(ctx, func(ctx context.Context) (err error) {
		var there bool
		if layer, there, err = present(ctx, s.pool, name); err == nil && !there {
			err = fleet.ErrUnknownLayer
		}
		return err
	})
	return layer, err
}

// DeviceLayers is as of fleet.Store.
func (s *Store) DeviceLayers(ctx context.Context, after string, limit int) (list []fleet.Layer, next string, err error) {
	from, err := cursor(after)
	if err != nil {
		return nil, "", err
	}
	err = s.call(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT l.device, "+layerColumns+
			" FROM layers l WHERE l.device > $1 ORDER BY l.device LIMIT $2", from, limit+1)
		if err != nil {
			return err
		}
		list, next = nil, ""
		var number int64
		var row layerRow
		_, err = pgx.ForEachRow(rows, append([]any{&number}, row.targets()...), func() error {
			if len(list) == limit {
				next = strconv.FormatInt(from, 10)
				return nil
			}
			from = number
			layer, err := row.layer()
			list = append(list, layer)
			return err
		})
		return err
	})
	return list, next, err
}

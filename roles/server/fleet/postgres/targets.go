package postgres

import (
	"context"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// Targets implements fleet.Store.
func (s *Store) Targets(ctx context.Context) (targets fleet.Targets, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			targets = fleet.Targets{}
			return pgx.BeginTxFunc(ctx, s.pool(), moment, func(tx pgx.Tx) error { return readTargets(ctx, tx, &targets) })
		})
	})
	return targets, err
}

func readTargets(ctx context.Context, tx pgx.Tx, targets *fleet.Targets) error {
	var batch pgx.Batch
	batch.Queue("SELECT value FROM counters WHERE name = 'revision'").QueryRow(func(row pgx.Row) error {
		return row.Scan(&targets.Revision)
	})
	batch.Queue(rows.LastSigned).QueryRow(func(row pgx.Row) error { return row.Scan(&targets.Signed) })
	// A database sorts text by its own language. Names are sorted by their bytes.
	batch.Queue("SELECT " + rows.LayerColumns + " FROM layers WHERE device IS NULL ORDER BY priority, name::bytea").
		Query(func(found pgx.Rows) error {
			var row rows.Layer
			_, err := pgx.ForEachRow(found, row.Into(), func() error {
				layer, err := row.Layer()
				if err == nil && layer.Name == fleet.Everyone {
					targets.Everyone = layer
				} else if err == nil {
					targets.Labels = append(targets.Labels, layer)
				}
				return err
			})
			return err
		})
	batch.Queue("SELECT selector, revision, waiting FROM concerns ORDER BY selector::bytea").Query(func(found pgx.Rows) error {
		var text string
		var concern fleet.Concern
		_, err := pgx.ForEachRow(found, []any{&text, &concern.Revision, &concern.Waiting}, func() (err error) {
			concern.Selector, err = rows.Selector(text)
			targets.Concerns = append(targets.Concerns, concern)
			concern.Waiting = nil // the next row needs its own
			return err
		})
		return err
	})
	batch.Queue("SELECT " + rows.SecretColumns + " FROM secrets ORDER BY name::bytea").Query(func(found pgx.Rows) error {
		var row rows.Secret
		_, err := pgx.ForEachRow(found, row.Into(), func() error {
			secret, err := row.Secret()
			targets.Secrets = append(targets.Secrets, secret)
			return err
		})
		return err
	})
	queueActive(&batch, &targets.Release)
	return tx.SendBatch(ctx, &batch).Close()
}

// A querier is a connection, a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, arguments ...any) pgx.Row
}

// present returns the present layer; with revision 0 if there is none.
func present(ctx context.Context, from querier, name fleet.LayerName) (fleet.Layer, error) {
	var row rows.Layer
	err := from.QueryRow(ctx, "SELECT "+rows.LayerColumns+" FROM layers WHERE name = $1", string(name)).Scan(row.Into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.Layer{}, nil
	}
	if err != nil {
		return fleet.Layer{}, err
	}
	return row.Layer()
}

// Layer implements fleet.Store.
func (s *Store) Layer(ctx context.Context, name fleet.LayerName) (layer fleet.Layer, err error) {
	err = s.call(ctx, func(ctx context.Context) (err error) {
		if layer, err = present(ctx, s.pool(), name); err == nil && layer.Revision == 0 {
			err = fleet.ErrUnknownLayer
		}
		return err
	})
	return layer, err
}

// DeviceLayers implements fleet.Store.
func (s *Store) DeviceLayers(
	ctx context.Context, containing, after string, limit int,
) (list []fleet.Layer, next string, err error) {
	page, err := rows.NewPage[fleet.Layer](after, limit)
	if err != nil {
		return nil, "", err
	}
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT "+rows.DeviceLayerColumns+" FROM layers o JOIN devices d ON d.id = o.device"+
			" WHERE o.device > $1 AND position($2 IN o.config) > 0 ORDER BY o.device LIMIT $3", page.After, containing, page.Limit())
		if err != nil {
			return err
		}
		var row rows.DeviceLayer
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			layer, err := row.Layer()
			page.Add(row.ID, layer)
			return err
		})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return page.List, page.Next, nil
}

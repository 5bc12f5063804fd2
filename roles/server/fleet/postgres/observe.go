package postgres

import (
	"context"
	"slices"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Observe implements fleet.Store. It writes at most mostTogether devices in a transaction.
func (s *Store) Observe(ctx context.Context, list []fleet.Observation) error {
	for lot := range slices.Chunk(list, mostTogether) {
		err := s.call(ctx, func(ctx context.Context) error {
			return s.again(ctx, func() error {
				var batch pgx.Batch // one round trip and one transaction, because there is no BEGIN
				sights(&batch, lot)
				figures(&batch, lot)
				thinnings(&batch, lot)
				return s.pool().SendBatch(ctx, &batch).Close()
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sights stores when devices were seen, if that is newer than the stored time. It locks rows in the order of
// keepReports.
func sights(batch *pgx.Batch, lot []fleet.Observation) {
	type sight struct{ at, twins int64 }
	newest := make(map[uuid.UUID]sight, len(lot))
	for _, seen := range lot {
		last := newest[seen.ID]
		newest[seen.ID] = sight{max(last.at, rows.Seconds(seen.Seen)), max(last.twins, rows.Seconds(seen.Twins))}
	}
	var ids []uuid.UUID
	var times, twins []int64
	for id, last := range newest {
		ids = append(ids, id)
		times = append(times, last.at)
		twins = append(twins, last.twins)
	}
	batch.Queue(`WITH asked AS (
			SELECT u.*, d.id FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u (uuid, at, twins)
			JOIN devices d ON d.uuid = u.uuid
		), locked AS (
			SELECT s.device FROM standings s JOIN asked a ON a.id = s.device ORDER BY s.device FOR UPDATE OF s
		)
		UPDATE standings s SET last_seen = greatest(s.last_seen, a.at), twins = greatest(s.twins, a.twins)
		FROM asked a JOIN locked l ON l.device = a.id
		WHERE s.device = a.id AND (a.at > s.last_seen OR a.twins > s.twins)`, ids, times, twins)
}

// figures stores statistics.
func figures(batch *pgx.Batch, lot []fleet.Observation) {
	type point struct {
		id uuid.UUID
		at int64
	}
	newest := map[point]string{}
	for _, seen := range lot {
		if seen.Stats != nil {
			newest[point{seen.ID, rows.Seconds(seen.Stats.At)}] = seen.Stats.Text
		}
	}
	if len(newest) == 0 {
		return
	}
	var ids []uuid.UUID
	var times []int64
	var texts []string
	for point, text := range newest {
		ids = append(ids, point.id)
		times = append(times, point.at)
		texts = append(texts, text)
	}
	batch.Queue(`INSERT INTO stats (device, at, text)
		SELECT d.id, u.at, u.text FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS u (uuid, at, text)
		JOIN devices d ON d.uuid = u.uuid ORDER BY d.id, u.at
		ON CONFLICT (device, at) DO UPDATE SET text = excluded.text`, ids, times, texts)
}

// thinnings deletes statistics.
func thinnings(batch *pgx.Batch, lot []fleet.Observation) {
	var ids []uuid.UUID
	var before, steps []int64
	for _, seen := range lot {
		for _, thin := range seen.Thin {
			ids = append(ids, seen.ID)
			before = append(before, rows.Seconds(thin.Before))
			steps = append(steps, int64(thin.Step/time.Second))
		}
	}
	if len(ids) == 0 {
		return
	}
	batch.Queue(`DELETE FROM stats t USING unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u (uuid, before, step)
		JOIN devices d ON d.uuid = u.uuid
		WHERE t.device = d.id AND t.at < u.before AND CASE WHEN u.step = 0 THEN true ELSE t.at % u.step <> 0 END`,
		ids, before, steps)
}

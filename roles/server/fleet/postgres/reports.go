package postgres

import (
	"context"
	"errors"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A report is a report to store, and then the stored sequence.
type report struct {
	id       uuid.UUID
	report   fleet.Report
	sequence int64
}

// Report implements fleet.Store. Concurrent calls share a statement and a commit.
func (s *Store) Report(ctx context.Context, id uuid.UUID, what fleet.Report) (sequence int64, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		got, err := s.reports.Run(ctx, report{id: id, report: what})
		sequence = got.sequence
		return err
	})
	return sequence, err
}

// reportAll stores reports in rounds: the first report of each device in the first round, the second in the second, and
// so on, because a statement changes a row once.
func (s *Store) reportAll(ctx context.Context, batch []*group.Job[report]) error {
	ctx, cancel := s.within(ctx, inTime)
	defer cancel()
	for len(batch) > 0 {
		var round, rest []*group.Job[report]
		taken := make(map[uuid.UUID]bool, len(batch))
		for _, work := range batch {
			if taken[work.Want.id] {
				rest = append(rest, work)
				continue
			}
			taken[work.Want.id] = true
			round = append(round, work)
		}
		if err := s.reportRound(ctx, round); err != nil {
			return err
		}
		batch = rest
	}
	return nil
}

// keepReports locks rows of standings in one order, as observe does, so that batches never wait for each other in a
// circle. It compares verdicts with the locked rows: the statement's own snapshot may be older, and hide what another
// server has written meanwhile. It returns the stored values by the index of the report. It returns nothing for a
// report that is too late or from an unknown device.
const keepReports = `WITH asked AS (
	SELECT u.*, d.id FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[],
		$7::smallint[], $8::bytea[], $9::bytea[], $10::bigint[], $11::bigint[], $12::smallint[], $13::bigint[], $14::boolean[],
		$15::bytea[])
	WITH ORDINALITY AS u (uuid, config, sequence, running, hash, attempted, outcome, path, reason, attempted_at, at, state,
		verdict, says, instance, i)
	JOIN devices d ON d.uuid = u.uuid
), locked AS (
	SELECT s.device, s.state, s.verdict_revision, s.says FROM standings s JOIN asked a ON a.id = s.device
	ORDER BY s.device FOR UPDATE OF s
), kept AS (
	UPDATE reports r SET config = a.config, sequence = CASE WHEN a.sequence = 0 THEN r.sequence ELSE a.sequence END,
		running_revision = a.running, running_hash = a.hash, attempted_revision = a.attempted,
		attempted_outcome = a.outcome, attempted_path = a.path, attempted_reason = a.reason,
		attempted_at = a.attempted_at, at = a.at, instance = a.instance
	FROM asked a JOIN locked l ON l.device = a.id
	WHERE r.device = a.id AND (a.sequence = 0 OR a.sequence >= r.sequence)
	RETURNING a.i, r.device, r.sequence, a.state, a.verdict, a.says
), judged AS (
	UPDATE standings s SET state = k.state, verdict_revision = k.verdict, says = k.says
	FROM kept k JOIN locked l ON l.device = k.device
	WHERE s.device = k.device AND (l.state <> k.state OR l.verdict_revision <> k.verdict OR l.says <> k.says)
)
SELECT i, sequence FROM kept`

func (s *Store) reportRound(ctx context.Context, round []*group.Job[report]) error {
	var (
		ids                                                        []uuid.UUID
		configs                                                    []string
		sequences, running, attempted, attemptedAt, times, verdict []int64
		hashes, paths, reasons, instances                          []rows.Text
		outcomes, states                                           []int16
		says                                                       []bool
	)
	for _, work := range round {
		r := work.Want.report
		ids = append(ids, work.Want.id)
		configs = append(configs, r.Config.String())
		sequences = append(sequences, r.Sequence)
		running = append(running, r.Running.Revision)
		hashes = append(hashes, rows.Text(r.Running.Hash))
		attempted = append(attempted, r.Attempted.Revision)
		outcomes = append(outcomes, int16(r.Attempted.Outcome))
		paths = append(paths, rows.Text(r.Attempted.Path))
		reasons = append(reasons, rows.Text(r.Attempted.Reason))
		attemptedAt = append(attemptedAt, r.Attempted.At)
		times = append(times, rows.Seconds(r.At))
		states = append(states, int16(r.Verdict.State))
		verdict = append(verdict, r.Verdict.Revision)
		says = append(says, !r.Mute())
		instances = append(instances, rows.Text(r.Instance))
	}
	notice := fleet.Notice{Kind: fleet.DevicesReported, Devices: ids}
	var kept map[int64]int64
	err := s.again(ctx, func() error {
		kept = make(map[int64]int64, len(round))
		var batch pgx.Batch // one round trip and one transaction, because there is no BEGIN
		batch.Queue(keepReports, ids, configs, sequences, running, hashes, attempted, outcomes, paths, reasons, attemptedAt,
			times, states, verdict, says, instances).Query(func(found pgx.Rows) error {
			var i, sequence int64
			_, err := pgx.ForEachRow(found, []any{&i, &sequence}, func() error {
				kept[i-1] = sequence
				return nil
			})
			return err
		})
		s.enter(&batch, notice)
		return s.pool().SendBatch(ctx, &batch).Close()
	})
	s.notify([]fleet.Notice{notice}, err)
	if err != nil {
		return err
	}
	for i, work := range round {
		sequence, there := kept[int64(i)]
		if !there { // seldom
			sequence, err = s.sequence(ctx, work.Want.id)
		}
		work.Want.sequence, work.Err = sequence, err
		err = nil
	}
	return nil
}

// sequence returns the sequence of a device's last report.
func (s *Store) sequence(ctx context.Context, id uuid.UUID) (sequence int64, err error) {
	err = s.pool().QueryRow(ctx, "SELECT r.sequence FROM reports r JOIN devices d ON d.id = r.device WHERE d.uuid = $1",
		id).Scan(&sequence)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fleet.ErrUnknownDevice
	}
	return sequence, err
}

// Stats implements fleet.Store.
func (s *Store) Stats(ctx context.Context, id uuid.UUID, since time.Time) (list []fleet.Stats, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		if _, err := s.sequence(ctx, id); err != nil {
			return err
		}
		found, err := s.pool().Query(ctx, `SELECT t.at, t.text FROM stats t JOIN devices d ON d.id = t.device
			WHERE d.uuid = $1 AND t.at >= $2 ORDER BY t.at`, id, rows.Seconds(since))
		if err != nil {
			return err
		}
		list = nil
		return eachPoint(found, func(at time.Time, text string) { list = append(list, fleet.Stats{At: at, Text: text}) })
	})
	return list, err
}

package postgres

import (
	"context"
	"strconv"
	"time"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// addAudit adds a record. It must be the last statement before the commit, because it locks a row that all acts need.
const addAudit = "WITH next AS (UPDATE counters SET value = value + 1 WHERE name = 'audit' RETURNING value) INSERT INTO audit (number, " +
	rows.AuditColumns + ") SELECT value, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19 FROM next"

func auditValues(record audit.Record) []any {
	return rows.AuditValues(record, func(act uuid.UUID) any { return act })
}

// act runs do in a transaction that other servers need not hear of. It repeats the transaction when the database asks
// for that. If do is part of an act of package audit and changes something, the transaction has its record.
func (s *Store) act(ctx context.Context, do func(context.Context, pgx.Tx) (changed bool, err error)) error {
	pending := audit.From(ctx)
	err := s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			return pgx.BeginFunc(ctx, s.pool(), func(tx pgx.Tx) error {
				pending.Try()
				changed, err := do(ctx, tx)
				if err != nil {
					return err
				}
				if !changed {
					return s.confirmed(ctx, tx)
				}
				if record, is := pending.Enter(); is {
					_, err = tx.Exec(ctx, addAudit, auditValues(record)...)
				}
				return err
			})
		})
	})
	if err == nil {
		pending.Committed()
	}
	return err
}

// AddRecord implements audit.Store.
func (s *Store) AddRecord(ctx context.Context, record audit.Record) error {
	return s.call(ctx, func(ctx context.Context) error {
		return s.again(ctx, func() error {
			_, err := s.pool().Exec(ctx, addAudit+" ON CONFLICT (act) DO NOTHING", auditValues(record)...)
			return err
		})
	})
}

// Records implements audit.Store.
func (s *Store) Records(ctx context.Context, filter audit.Filter, limit int) (list []audit.Record, err error) {
	where, order, arguments := rows.AuditFilter(filter, func(n int) string { return "$" + strconv.Itoa(n) })
	arguments = append(arguments, limit)
	err = s.call(ctx, func(ctx context.Context) error {
		found, err := s.pool().Query(ctx, "SELECT number, "+rows.AuditColumns+" FROM audit WHERE "+where+" ORDER BY "+order+" LIMIT $"+
			strconv.Itoa(len(arguments)), arguments...)
		if err != nil {
			return err
		}
		list = nil
		var row rows.Audit
		_, err = pgx.ForEachRow(found, row.Into(), func() error {
			list = append(list, row.Record())
			return nil
		})
		return err
	})
	return list, err
}

// LastRecord implements audit.Store.
func (s *Store) LastRecord(ctx context.Context) (number int64, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		return s.pool().QueryRow(ctx, "SELECT value FROM counters WHERE name = 'audit'").Scan(&number)
	})
	return number, err
}

// TrimRecords implements audit.Store.
func (s *Store) TrimRecords(ctx context.Context, before time.Time, most int64) error {
	for _, rule := range rows.Trims(before, most) {
		for gone := int64(rows.TrimPortion); gone == rows.TrimPortion; {
			err := s.call(ctx, func(ctx context.Context) error {
				var bound *int64
				if err := s.pool().QueryRow(ctx, rule.Bound, rule.Limit).Scan(&bound); err != nil || bound == nil {
					gone = 0
					return err
				}
				done, err := s.pool().Exec(ctx, rule.Delete, *bound)
				gone = done.RowsAffected()
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

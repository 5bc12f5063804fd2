package sqlite

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
)

// auditTable has the records of package audit. With AUTOINCREMENT no number is used twice, even after records were
// trimmed.
const auditTable = `CREATE TABLE audit (
		number   INTEGER PRIMARY KEY AUTOINCREMENT,
		act      BLOB NOT NULL UNIQUE, -- UUID
		at       INTEGER NOT NULL, -- milliseconds since 1970
		request  TEXT NOT NULL,
		kind     TEXT NOT NULL, -- audit.Kind
		name     TEXT NOT NULL,
		person   TEXT NOT NULL,
		role     TEXT NOT NULL,
		scope    TEXT NOT NULL,
		address  TEXT NOT NULL,
		proxy    TEXT NOT NULL,
		agent    TEXT NOT NULL,
		verb     TEXT NOT NULL,
		thing    TEXT NOT NULL,
		details  TEXT NOT NULL,
		result   TEXT NOT NULL, -- audit.Result
		status   INTEGER NOT NULL,
		reason   TEXT NOT NULL,
		revision INTEGER NOT NULL,
		times    INTEGER NOT NULL
	) STRICT;
	CREATE INDEX audit_not_done ON audit (number) WHERE result <> 'done';`

const lastAudit = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'"

const addAudit = "INSERT INTO audit (" + rows.AuditColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

func auditValues(record audit.Record) []any {
	return rows.AuditValues(record, func(act uuid.UUID) any { return act[:] })
}

// recorded returns a job that also adds the record of the act to which it belongs, if the job changes something.
func recorded(ctx context.Context, do func(*sql.Conn) error) func(*sql.Conn) error {
	pending := audit.From(ctx)
	if pending == nil {
		return do
	}
	ctx = context.WithoutCancel(ctx)
	return func(conn *sql.Conn) error {
		pending.Try()
		before, err := written(ctx, conn)
		if err != nil {
			return err
		}
		if err := do(conn); err != nil {
			return err
		}
		after, err := written(ctx, conn)
		if err != nil || after == before {
			return err
		}
		record, _ := pending.Enter()
		_, err = conn.ExecContext(ctx, addAudit, auditValues(record)...)
		return err
	}
}

// written returns the number of rows that the connection has changed so far.
func written(ctx context.Context, conn *sql.Conn) (number int64, err error) {
	return number, conn.QueryRowContext(ctx, "SELECT total_changes()").Scan(&number)
}

// AddRecord implements audit.Store.
func (s *Store) AddRecord(ctx context.Context, record audit.Record) error {
	ctx = audit.With(ctx, nil)
	return s.change(ctx, "store a record of the audit log in", scope{}, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), addAudit+" ON CONFLICT (act) DO NOTHING", auditValues(record)...)
		return err
	}, nil)
}

// Records implements audit.Store.
func (s *Store) Records(ctx context.Context, filter audit.Filter, limit int) (list []audit.Record, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	where, order, arguments := rows.AuditFilter(filter, func(n int) string { return "?" + strconv.Itoa(n) })
	arguments = append(arguments, limit)
	err = eachRow(ctx, s.read, "SELECT number, "+rows.AuditColumns+" FROM audit WHERE "+where+" ORDER BY "+order+" LIMIT ?"+
		strconv.Itoa(len(arguments)), func(found *sql.Rows) error {
		var row rows.Audit
		err := found.Scan(row.Into()...)
		list = append(list, row.Record())
		return err
	}, arguments...)
	if err != nil {
		return nil, s.fail("read the audit log in", err)
	}
	return list, nil
}

// LastRecord implements audit.Store.
func (s *Store) LastRecord(ctx context.Context) (number int64, err error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	err = s.read.QueryRowContext(ctx, lastAudit).Scan(&number)
	return number, s.fail("read the audit log in", err)
}

// TrimRecords implements audit.Store. It occupies the writer only if there is something to remove.
func (s *Store) TrimRecords(ctx context.Context, before time.Time, most int64) error {
	ctx = audit.With(ctx, nil)
	for _, rule := range rows.Trims(before, most) {
		for gone := int64(rows.TrimPortion); gone == rows.TrimPortion; {
			bound, err := s.trimBound(ctx, rule)
			if err != nil || bound == nil {
				if err != nil {
					return s.fail("trim the audit log in", err)
				}
				break
			}
			err = s.change(ctx, "trim the audit log in", scope{}, func(conn *sql.Conn) error {
				result, err := conn.ExecContext(context.WithoutCancel(ctx), rule.Delete, *bound)
				if err == nil {
					gone, err = result.RowsAffected()
				}
				return err
			}, nil)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) trimBound(ctx context.Context, rule rows.Trim) (bound *int64, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	return bound, s.read.QueryRowContext(ctx, rule.Bound, rule.Limit).Scan(&bound)
}

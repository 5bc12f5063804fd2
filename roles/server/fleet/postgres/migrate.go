package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNewer means that a later version of this program has written the database.
var ErrNewer = errors.New("a newer version of this program has written it")

// migrate brings the schema to the newest version, or does nothing: all steps are one transaction. Servers that start
// together lock the row that has the version, one after the other. A row lock is in every database that speaks the
// protocol, it ends with its transaction, and a pooler in transaction mode cannot lose it, unlike a session's advisory
// lock.
func migrate(ctx context.Context, conn *pgx.Conn, steps []migration, plain bool) error {
	if err := begin(ctx, conn); err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // after Commit it does nothing
	var version int
	if err := tx.QueryRow(ctx, "SELECT version FROM schema_version FOR UPDATE", pgx.QueryExecModeSimpleProtocol).Scan(&version); err != nil {
		return err
	}
	switch {
	case version == len(steps):
		return nil
	case version > len(steps):
		return fmt.Errorf("%w: its schema has version %d, this program knows up to %d; use that version, or another database",
			ErrNewer, version, len(steps))
	}
	for _, step := range steps[version:] {
		var err error
		if step.statements != "" {
			err = runStep(ctx, tx, step.statements, plain)
		}
		if err == nil && step.fill != nil {
			err = step.fill(ctx, tx)
		}
		if err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "UPDATE schema_version SET version = $1", len(steps)); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// runStep runs a step. In a database without unlogged tables it makes plain ones.
func runStep(ctx context.Context, tx pgx.Tx, step string, asPlain bool) error {
	execute := func(step string) error {
		return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
			_, err := tx.Exec(ctx, step, pgx.QueryExecModeSimpleProtocol)
			return err
		})
	}
	plain := strings.ReplaceAll(step, "CREATE UNLOGGED TABLE", "CREATE TABLE")
	if asPlain {
		return execute(plain)
	}
	err := execute(step)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == syntaxError || refused.Code == featureNotSupported) && plain != step {
		err = execute(plain)
	}
	return err
}

// leapt are the errors if two servers make the same table at once. Which one depends on how far the other server is.
var leapt = []string{uniqueViolation, duplicateTable, duplicateObject}

// begin makes the row that has the version, unless there is one.
func begin(ctx context.Context, conn *pgx.Conn) error {
	const row = `CREATE TABLE IF NOT EXISTS schema_version (
		one     boolean PRIMARY KEY DEFAULT true CHECK (one),
		version bigint NOT NULL
	);
	INSERT INTO schema_version (version) VALUES (0) ON CONFLICT DO NOTHING`
	var err error
	for range attempts {
		_, err = conn.Exec(ctx, row, pgx.QueryExecModeSimpleProtocol) // the simple protocol permits several statements
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !slices.Contains(leapt, refused.Code) {
			return err
		}
		// IF NOT EXISTS looks before it leaps, and another server leapt in between. Now the table is there.
	}
	return err
}

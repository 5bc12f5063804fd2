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

// ErrNewer is why a database of a later version of this program is left alone.
var ErrNewer = errors.New("a newer version of this program has written it")

// migrate brings the schema to the newest version, or does nothing: all steps are one transaction. Servers that start
// together take turns at the row that holds the version: a lock of a row is what every database has that speaks the
// protocol, it ends with the transaction that took it, and a pooler in transaction mode cannot lose it, as it would an
// advisory lock of a session.
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
			err = take(ctx, tx, step.statements, plain)
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

// take takes a step. Where the database has no unlogged tables, it has plain ones.
func take(ctx context.Context, tx pgx.Tx, step string, asPlain bool) error {
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

// leapt are the answers to one of two that make the same table at once, by how far the other had got.
var leapt = []string{uniqueViolation, duplicateTable, duplicateObject}

// begin makes the row that holds the version, where there is none.
func begin(ctx context.Context, conn *pgx.Conn) error {
	const row = `CREATE TABLE IF NOT EXISTS schema_version (
		one     boolean PRIMARY KEY DEFAULT true CHECK (one),
		version bigint NOT NULL
	);
	INSERT INTO schema_version (version) VALUES (0) ON CONFLICT DO NOTHING`
	var err error
	for range attempts {
		_, err = conn.Exec(ctx, row, pgx.QueryExecModeSimpleProtocol) // which takes several statements
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !slices.Contains(leapt, refused.Code) {
			return err
		}
		// IF NOT EXISTS looks before it leaps, and another server leapt in between. Now the table is there.
	}
	return err
}

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks our files (PRAGMA application_id): "ASPF".
const applicationID = 0x41535046

// migrations lead from one version of the schema (PRAGMA user_version) to the next; the first from an empty file to
// version 1. What has been released is never changed, only added to.
//
// Reports stand apart from devices: they change all the time, and rows are packed by number rather than by random UUID,
// so that a write touches few pages.
var migrations = [...]string{
	`CREATE TABLE devices (
		id             INTEGER PRIMARY KEY,
		uuid           BLOB NOT NULL UNIQUE CHECK (length(uuid) = 16),
		registered     INTEGER NOT NULL, -- seconds since 1970, as all times
		ip_address     TEXT NOT NULL,
		public_key_rsa TEXT NOT NULL,
		arch           TEXT NOT NULL
	) STRICT;
	CREATE TABLE reports (
		device  INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
		config  BLOB NOT NULL, -- canonical JSON
		changed INTEGER NOT NULL
	) STRICT;
	CREATE TABLE target (
		id      INTEGER PRIMARY KEY CHECK (id = 1),
		config  BLOB NOT NULL, -- canonical JSON
		changed INTEGER NOT NULL
	) STRICT;`,
}

// migrate brings the schema to the newest version, in one transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	version, err := pragma(ctx, db, "user_version")
	if err != nil {
		return err
	}
	if version == int64(len(migrations)) {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statements := range migrations[version:] {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(migrations))); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// pragma reads a number.
func pragma(ctx context.Context, db *sql.DB, name string) (value int64, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}

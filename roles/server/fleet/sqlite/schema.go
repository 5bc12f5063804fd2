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
var migrations = [...]migration{
	{statements: `CREATE TABLE devices (
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
	) STRICT;`},
	// A digest, as an index of whole keys would double the file. It is not unique: older versions of this program
	// registered a device again that had missed its answer.
	{statements: `ALTER TABLE devices ADD COLUMN key_digest BLOB; -- digest of public_key_rsa
	CREATE INDEX devices_by_key ON devices (key_digest);`, fill: fillKeyDigests},
}

// A migration is what leads to the next version: statements, and what those cannot say.
type migration struct {
	statements string
	fill       func(context.Context, *sql.Tx) error
}

func fillKeyDigests(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT id, public_key_rsa FROM devices")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has told what there is to tell
	digests := map[int64][]byte{}
	for rows.Next() {
		var id int64
		var key string
		if err := rows.Scan(&id, &key); err != nil {
			return err
		}
		digests[id] = keyDigest(key)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for id, digest := range digests {
		if _, err := tx.ExecContext(ctx, "UPDATE devices SET key_digest = ? WHERE id = ?", digest, id); err != nil {
			return err
		}
	}
	return nil
}

// keyDigest is what key_digest holds for a public key: NULL for none.
func keyDigest(key string) []byte {
	if key == "" {
		return nil
	}
	sum := digestOf(key)
	return sum[:]
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
	for _, step := range migrations[version:] {
		_, err := tx.ExecContext(ctx, step.statements)
		if err == nil && step.fill != nil {
			err = step.fill(ctx, tx)
		}
		if err != nil {
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

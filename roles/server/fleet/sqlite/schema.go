package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"aspects-poc/roles/server/fleet/rows"
)

// applicationID marks our files (PRAGMA application_id): "ASPF".
const applicationID = 0x41535046

// migrations lead from one version of the schema (PRAGMA user_version) to the next; the first one leads from an empty
// file to version 1. A released migration never changes: a change of the schema is another migration.
//
// Package rows lists the present names of tables and columns.
//
// Reports have a table of their own because they change all the time. Rows are sorted by number and not by random UUID,
// so that a write touches few pages. Standings have a table of their own with small rows: the store can read all of
// them, and write many at a time.
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
	// Layers, revisions, states. The one target becomes the layer of everyone, under the first revision.
	{statements: `ALTER TABLE devices ADD COLUMN key_id TEXT; -- as fleet.KeyID has it, NULL for a device that does not sign
	CREATE INDEX devices_by_key_id ON devices (key_id) WHERE key_id IS NOT NULL;
	ALTER TABLE reports ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE reports ADD COLUMN running INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE reports ADD COLUMN running_hash TEXT NOT NULL DEFAULT '';
	ALTER TABLE reports ADD COLUMN attempted INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE reports ADD COLUMN outcome INTEGER NOT NULL DEFAULT 0; -- fleet.Outcome
	ALTER TABLE reports ADD COLUMN path TEXT NOT NULL DEFAULT '';
	ALTER TABLE reports ADD COLUMN reason TEXT NOT NULL DEFAULT '';
	ALTER TABLE reports ADD COLUMN attempted_at INTEGER NOT NULL DEFAULT 0;
	UPDATE reports SET changed = 0 -- which it is before the first poll, from now on
		WHERE config = CAST('{}' AS BLOB) AND changed = (SELECT registered FROM devices WHERE id = device);
	CREATE TABLE label_sets (
		id   INTEGER PRIMARY KEY,
		text TEXT NOT NULL UNIQUE -- as fleet.Labels.String has it
	) STRICT;
	INSERT INTO label_sets VALUES (1, '{}');
	CREATE TABLE standings (
		device   INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
		status   INTEGER NOT NULL, -- fleet.Status
		labels   INTEGER NOT NULL REFERENCES label_sets (id),
		own      INTEGER NOT NULL, -- the last revision of its own layer or labels
		state    INTEGER NOT NULL, -- fleet.State
		revision INTEGER NOT NULL, -- for which the state was derived
		seen     INTEGER NOT NULL  -- 0: never
	) STRICT;
	INSERT INTO standings SELECT d.id, 0, 1, 0, 0, 0, r.changed FROM devices d JOIN reports r ON r.device = d.id;
	CREATE TABLE layers (
		name     TEXT PRIMARY KEY, -- "everyone" or "labels/NAME"
		selector TEXT NOT NULL,
		priority INTEGER NOT NULL,
		config   BLOB NOT NULL,
		revision INTEGER NOT NULL,
		author   TEXT NOT NULL,
		at       INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE device_layers (
		device   INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
		config   BLOB NOT NULL,
		revision INTEGER NOT NULL,
		author   TEXT NOT NULL,
		at       INTEGER NOT NULL
	) STRICT;
	CREATE TABLE concerns (
		selector TEXT PRIMARY KEY, -- '' is everyone
		revision INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE history (
		revision INTEGER PRIMARY KEY,
		at       INTEGER NOT NULL,
		author   TEXT NOT NULL,
		layer    TEXT NOT NULL,
		action   INTEGER NOT NULL, -- fleet.Action
		restores INTEGER NOT NULL,
		selector TEXT NOT NULL,
		priority INTEGER NOT NULL,
		before   BLOB,
		after    BLOB,
		labels   TEXT NOT NULL
	) STRICT;
	CREATE INDEX history_by_layer ON history (layer, revision);
	CREATE TABLE counter (floor INTEGER NOT NULL) STRICT; -- one row: no revision up to it is drawn
	INSERT INTO counter VALUES (0);
	CREATE TABLE stats (
		device INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
		at     INTEGER NOT NULL,
		text   TEXT NOT NULL,
		PRIMARY KEY (device, at)
	) STRICT, WITHOUT ROWID;
	INSERT INTO layers SELECT 'everyone', '', 0, config, 1, '', changed FROM target;
	INSERT INTO concerns SELECT '', 1 FROM target;
	INSERT INTO history SELECT 1, changed, '', 'everyone', 1, 0, '', 0, NULL, config, '{}' FROM target;
	DROP TABLE target;`},
	{statements: tokensTable},
	{statements: "CREATE INDEX pending ON standings (device) WHERE status = 1"}, // few, counted at each registration
	// Whether a device reports what it runs; otherwise its state follows from what it shows. A device that polled
	// before there were states is behind; state 0 is for those that never polled.
	{statements: `ALTER TABLE standings ADD COLUMN says INTEGER NOT NULL DEFAULT 0;
	UPDATE standings SET says = 1
		WHERE device IN (SELECT device FROM reports WHERE running <> 0 OR running_hash <> '');
	UPDATE standings SET state = 5
		WHERE state = 0 AND device IN (SELECT device FROM reports WHERE changed <> 0);`},
	// A registration counts as a sighting.
	{statements: "UPDATE standings SET seen = (SELECT registered FROM devices WHERE id = device) WHERE seen = 0"},
	// The digest was of the key's text, and a key has several texts.
	{fill: fillKeyDigests},
	// The machine that reports, and when two machines were last detected for one device.
	{statements: `ALTER TABLE reports ADD COLUMN instance TEXT NOT NULL DEFAULT '';
	ALTER TABLE standings ADD COLUMN twins INTEGER NOT NULL DEFAULT 0; -- 0: never`},
	// When an operator last said that only one machine reports.
	{statements: "ALTER TABLE standings ADD COLUMN alone INTEGER NOT NULL DEFAULT 0"},
	// The names in package rows.
	{statements: `ALTER TABLE reports RENAME COLUMN changed TO at;
	ALTER TABLE reports RENAME COLUMN running TO running_revision;
	ALTER TABLE reports RENAME COLUMN attempted TO attempted_revision;
	ALTER TABLE reports RENAME COLUMN outcome TO attempted_outcome;
	ALTER TABLE reports RENAME COLUMN path TO attempted_path;
	ALTER TABLE reports RENAME COLUMN reason TO attempted_reason;
	ALTER TABLE standings RENAME COLUMN labels TO label_set;
	ALTER TABLE standings RENAME COLUMN own TO own_revision;
	ALTER TABLE standings RENAME COLUMN revision TO verdict_revision;
	ALTER TABLE standings RENAME COLUMN seen TO last_seen;
	ALTER TABLE label_sets RENAME COLUMN text TO labels;
	ALTER TABLE tokens RENAME COLUMN most TO device_limit;`},
	// Keys of removed devices that were revoked.
	{statements: `CREATE TABLE revoked_keys (
		id     INTEGER PRIMARY KEY,
		key_id TEXT NOT NULL UNIQUE,
		device BLOB NOT NULL, -- UUID
		at     INTEGER NOT NULL
	) STRICT;`},
	// Labels of the devices that an enrolment token admits, in the form of fleet.Labels.String.
	{statements: "ALTER TABLE tokens ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'"},
	// One row: the state of the seals, as package fleet writes it.
	{statements: `CREATE TABLE sealing (state TEXT NOT NULL) STRICT;
	INSERT INTO sealing VALUES ('')`},
	// Named secrets, to which layers refer.
	{statements: `CREATE TABLE secrets (
		name     TEXT PRIMARY KEY,
		value    BLOB NOT NULL, -- canonical JSON
		revision INTEGER NOT NULL,
		author   TEXT NOT NULL,
		at       INTEGER NOT NULL
	) STRICT, WITHOUT ROWID`},
	// Numbers of devices by state, from time to time.
	{statements: `CREATE TABLE samples (
		at   INTEGER PRIMARY KEY,
		text TEXT NOT NULL -- JSON
	) STRICT`},
	// Statements of operators on the targets of all devices. Only the last one has a manifest.
	{statements: `CREATE TABLE signatures (
		number    INTEGER PRIMARY KEY,
		statement TEXT NOT NULL,
		signature TEXT NOT NULL,
		manifest  TEXT,
		revision  INTEGER NOT NULL,
		author    TEXT NOT NULL,
		at        INTEGER NOT NULL
	) STRICT`},
	// Names of devices; NULL for none. In the history "" means none.
	{statements: `ALTER TABLE devices ADD COLUMN name TEXT;
	CREATE UNIQUE INDEX devices_by_name ON devices (name) WHERE name IS NOT NULL;
	ALTER TABLE history ADD COLUMN name TEXT NOT NULL DEFAULT ''`},
	// Roles of operators' tokens, in the form of package access, and scopes, in the form of fleet.Labels.String.
	{statements: `ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT '';
	ALTER TABLE tokens ADD COLUMN scope TEXT NOT NULL DEFAULT '{}';
	UPDATE tokens SET role = iif(read_only <> 0, 'viewer', 'admin') WHERE purpose = 'operate';
	ALTER TABLE tokens DROP COLUMN read_only;`},
	// Releases in stages, and the layers as before the active one.
	{statements: `CREATE TABLE releases (
		id       INTEGER PRIMARY KEY, -- the revision at which it began
		version  INTEGER NOT NULL,
		author   TEXT NOT NULL,
		at       INTEGER NOT NULL,
		layers   TEXT NOT NULL, -- JSON, as the next
		plan     TEXT NOT NULL,
		progress TEXT NOT NULL,
		outcome  TEXT NOT NULL,
		active   INTEGER UNIQUE CHECK (active = 1) -- NULL: it has ended
	) STRICT;
	CREATE TABLE release_layers (
		name     TEXT PRIMARY KEY,
		selector TEXT NOT NULL,
		priority INTEGER NOT NULL,
		config   BLOB NOT NULL,
		revision INTEGER NOT NULL, -- 0: there was none
		author   TEXT NOT NULL,
		at       INTEGER NOT NULL,
		own      INTEGER NOT NULL -- of a device's layer: own_revision before
	) STRICT, WITHOUT ROWID;
	ALTER TABLE concerns ADD COLUMN waiting INTEGER; -- for devices that are not admitted; NULL: revision
	ALTER TABLE history ADD COLUMN step TEXT NOT NULL DEFAULT ''; -- of a release`},
	// The salts of the last statement's digests of secrets, in the form of a secret's value; NULL for none.
	{statements: "ALTER TABLE signatures ADD COLUMN salts BLOB"},
	// The audit log, and whether a token's holder is a proxy.
	{statements: auditTable + `
	ALTER TABLE tokens ADD COLUMN proxy INTEGER NOT NULL DEFAULT 0`},
}

// A migration leads to the next version: by statements, and by a function for what statements cannot do.
type migration struct {
	statements string
	fill       func(context.Context, *sql.Tx) error
}

func fillKeyDigests(ctx context.Context, tx *sql.Tx) error {
	return eachKey(ctx, tx, "UPDATE devices SET key_digest = ? WHERE id = ?", func(key string) any { return rows.Digest(key) })
}

// eachKey runs an update with the value that of returns for each device's public key. It works in portions, because a
// row must not be changed while it is read.
func eachKey(ctx context.Context, tx *sql.Tx, update string, of func(key string) any) error {
	const portion = 10_000
	statement, err := tx.PrepareContext(ctx, update)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }() // Exec has returned the error
	for last := int64(0); ; {
		ids, keys, err := someKeys(ctx, tx, last, portion)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if _, err := statement.ExecContext(ctx, of(keys[i]), id); err != nil {
				return err
			}
			last = id
		}
		if len(ids) < portion {
			return nil
		}
	}
}

func someKeys(ctx context.Context, tx *sql.Tx, after int64, limit int) (ids []int64, keys []string, err error) {
	found, err := tx.QueryContext(ctx, "SELECT id, public_key_rsa FROM devices WHERE id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = found.Close() }() // Err has returned the error
	for found.Next() {
		var id int64
		var key string
		if err := found.Scan(&id, &key); err != nil {
			return nil, nil, err
		}
		ids, keys = append(ids, id), append(keys, key)
	}
	return ids, keys, found.Err()
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

// pragma reads a numeric setting.
func pragma(ctx context.Context, db *sql.DB, name string) (value int64, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}

package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// migrations lead from one version of the schema to the next; the first one leads from an empty database to version 1.
// A released migration never changes: a change of the schema is another migration.
//
// Package rows lists the present names of tables and columns.
//
// Three tables have what is known of a device, by how often it changes: devices hardly ever, reports when a device
// reports something new, standings (earlier: seen) every few minutes for each device that polls, so its rows are as
// small as they can be. The id of a device (earlier: number) joins them. It counts up: rows and indexes stay packed,
// which random UUIDs would prevent.
//
// Texts that others choose are bytea: text cannot hold U+0000, which JSON can. Times are seconds since 1970.
var migrations = []migration{{statements: `
CREATE TABLE devices (
	number         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	uuid           uuid NOT NULL UNIQUE,
	registered     bigint NOT NULL,
	ip_address     bytea NOT NULL,
	public_key_rsa bytea NOT NULL,
	arch           bytea NOT NULL,
	key_digest     bytea UNIQUE, -- SHA-256 of public_key_rsa; NULL for no key
	key_id         text UNIQUE,  -- NULL for a key that signs nothing
	status         smallint NOT NULL,
	labels         text NOT NULL, -- JSON, names sorted
	own_revision   bigint NOT NULL DEFAULT 0
);
CREATE TABLE reports (
	device             bigint PRIMARY KEY REFERENCES devices (number),
	config             text NOT NULL DEFAULT '{}', -- canonical JSON
	sequence           bigint NOT NULL DEFAULT 0,
	running_revision   bigint NOT NULL DEFAULT 0,
	running_hash       bytea NOT NULL DEFAULT '',
	attempted_revision bigint NOT NULL DEFAULT 0,
	attempted_outcome  smallint NOT NULL DEFAULT 0,
	attempted_path     bytea NOT NULL DEFAULT '',
	attempted_reason   bytea NOT NULL DEFAULT '',
	attempted_at       bigint NOT NULL DEFAULT 0,
	at                 bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE TABLE seen (
	device           bigint PRIMARY KEY REFERENCES devices (number),
	last_seen        bigint NOT NULL DEFAULT 0,
	state            smallint NOT NULL DEFAULT 0,
	verdict_revision bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 60);
CREATE TABLE stats (
	device bigint REFERENCES devices (number),
	at     bigint,
	text   text NOT NULL, -- JSON
	PRIMARY KEY (device, at)
);
CREATE TABLE layers (
	name     text PRIMARY KEY,
	device   bigint UNIQUE REFERENCES devices (number), -- of a device's layer
	selector text NOT NULL,
	priority bigint NOT NULL,
	config   text NOT NULL, -- canonical JSON
	revision bigint NOT NULL,
	set_by   bytea NOT NULL,
	set_at   bigint NOT NULL
);
CREATE TABLE concerns (
	selector text PRIMARY KEY,
	revision bigint NOT NULL
);
CREATE TABLE history (
	revision bigint PRIMARY KEY,
	set_by   bytea NOT NULL,
	set_at   bigint NOT NULL,
	layer    text NOT NULL,
	action   smallint NOT NULL,
	restores bigint NOT NULL,
	selector text NOT NULL,
	priority bigint NOT NULL,
	before   text, -- canonical JSON
	after    text, -- canonical JSON
	labels   text NOT NULL
);
CREATE INDEX history_by_layer ON history (layer, revision);
-- The last revision drawn, and the number of the last change told. Who draws a number holds the row until its commit, so
-- that numbers become visible in their order.
CREATE TABLE counters (
	name  text PRIMARY KEY,
	value bigint NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0), ('change', 0);
-- What servers tell each other. Rows go after a few minutes.
CREATE TABLE changes (
	number   bigint PRIMARY KEY,
	at       bigint NOT NULL,
	origin   uuid NOT NULL, -- the server's, made up when it started
	kind     smallint NOT NULL,
	revision bigint NOT NULL,
	layer    text NOT NULL,
	devices  uuid[] NOT NULL
);
CREATE TABLE tokens (
	number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name         text NOT NULL UNIQUE,
	purpose      text NOT NULL,
	digest       bytea NOT NULL UNIQUE, -- SHA-256
	read_only    boolean NOT NULL,
	created      bigint NOT NULL,
	expires      bigint NOT NULL, -- 0: never, as below
	revoked      bigint NOT NULL,
	last_used    bigint NOT NULL,
	device_limit bigint NOT NULL,
	used         bigint NOT NULL
);`}, {statements: `
-- Devices that wait for approval are few, and counted at each registration that adds one: under the lock of the row.
CREATE INDEX devices_pending ON devices (number) WHERE status = 1;
INSERT INTO counters (name, value) VALUES ('pending', 0);`}, {statements: `
-- Requests that a server took, for as long as another might take them again. Of no use after that, and so many that they
-- are better kept out of the log; a crash of the database forgets them.
CREATE UNLOGGED TABLE nonces (
	mark  bytea PRIMARY KEY, -- access.Mark
	until bigint NOT NULL
);`}, {statements: `
-- Whether a device says what it runs: the state of one that does not is derived from what it shows. A device whose polls
-- were taken before there were states is behind (5); state 0 is left to those that never polled.
ALTER TABLE seen ADD COLUMN says boolean NOT NULL DEFAULT false;
UPDATE seen s SET says = true FROM reports r
	WHERE r.device = s.device AND (r.running_revision <> 0 OR r.running_hash <> '');
UPDATE seen s SET state = 5 FROM reports r WHERE r.device = s.device AND s.state = 0 AND r.at <> 0;`}, {statements: `
-- Who registers has been seen.
UPDATE seen s SET last_seen = d.registered FROM devices d WHERE d.number = s.device AND s.last_seen = 0;`}, {statements: `
-- Which machine speaks, and when two of them were last noticed that speak for one device.
ALTER TABLE reports ADD COLUMN instance bytea NOT NULL DEFAULT '';
ALTER TABLE seen ADD COLUMN twins bigint NOT NULL DEFAULT 0; -- 0: never`}, {statements: `
-- When an operator last said that one machine does.
ALTER TABLE seen ADD COLUMN alone bigint NOT NULL DEFAULT 0;`},
	// The column had a digest of the key's text, and a key has several texts.
	{fill: fillKeyDigests}, {statements: `
-- The names that package rows has, and its digests.
ALTER TABLE devices RENAME COLUMN number TO id;
ALTER TABLE tokens RENAME COLUMN number TO id;
ALTER TABLE layers RENAME COLUMN set_by TO author;
ALTER TABLE layers RENAME COLUMN set_at TO at;
ALTER TABLE history RENAME COLUMN set_by TO author;
ALTER TABLE history RENAME COLUMN set_at TO at;
ALTER TABLE seen RENAME TO standings;
ALTER INDEX seen_pkey RENAME TO standings_pkey;
UPDATE devices SET key_digest = substring(key_digest FROM 1 FOR 16) WHERE key_digest IS NOT NULL;`}, {statements: `
-- Keys of removed devices that were revoked.
CREATE TABLE revoked_keys (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key_id text NOT NULL UNIQUE,
	device uuid NOT NULL,
	at     bigint NOT NULL
);`}, {statements: `
-- Labels of the devices that an enrolment token admits: JSON, names sorted.
ALTER TABLE tokens ADD COLUMN labels text NOT NULL DEFAULT '{}';`}, {statements: `
-- One row: how the secrets are sealed, as package fleet has it.
CREATE TABLE sealing (
	one   boolean PRIMARY KEY DEFAULT true CHECK (one),
	state text NOT NULL
);
INSERT INTO sealing (state) VALUES ('');`}, {statements: `
-- Named secrets, to which layers refer.
CREATE TABLE secrets (
	name     text PRIMARY KEY,
	value    text NOT NULL, -- canonical JSON
	revision bigint NOT NULL,
	author   bytea NOT NULL,
	at       bigint NOT NULL
);`}, {statements: `
-- Numbers of devices by state, from time to time.
CREATE TABLE samples (
	at   bigint PRIMARY KEY,
	text text NOT NULL -- JSON
);`}, {statements: `
-- Statements of operators on the targets of all devices. Only the last one has a manifest.
CREATE TABLE signatures (
	number    bigint PRIMARY KEY,
	statement text NOT NULL, -- JSON, as it was signed
	signature text NOT NULL, -- PEM
	manifest  text,          -- JSON
	revision  bigint NOT NULL,
	author    bytea NOT NULL,
	at        bigint NOT NULL
);`}, {statements: `
-- Names of devices; NULL for none. In the history '' is none.
ALTER TABLE devices ADD COLUMN name text UNIQUE;
ALTER TABLE history ADD COLUMN name text NOT NULL DEFAULT '';`}, {statements: `
-- Roles of operators' tokens, as package access has them, and scopes: JSON, names sorted.
ALTER TABLE tokens ADD COLUMN role text NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN scope text NOT NULL DEFAULT '{}';
UPDATE tokens SET role = CASE WHEN read_only THEN 'viewer' ELSE 'admin' END WHERE purpose = 'operate';
ALTER TABLE tokens DROP COLUMN read_only;`}, {statements: `
-- Releases in stages, and the layers as they were before the active one.
CREATE TABLE releases (
	id       bigint PRIMARY KEY, -- the revision at which it began
	version  bigint NOT NULL,
	author   bytea NOT NULL,
	at       bigint NOT NULL,
	layers   text NOT NULL, -- JSON, as the next
	plan     text NOT NULL,
	progress text NOT NULL,
	outcome  text NOT NULL,
	active   bigint UNIQUE CHECK (active = 1) -- NULL: it has ended
);
CREATE TABLE release_layers (
	name     text PRIMARY KEY,
	selector text NOT NULL,
	priority bigint NOT NULL,
	config   text NOT NULL, -- canonical JSON
	revision bigint NOT NULL, -- 0: there was none
	author   bytea NOT NULL,
	at       bigint NOT NULL,
	own      bigint NOT NULL -- of a device's layer: own_revision before
);
ALTER TABLE concerns ADD COLUMN waiting bigint; -- for devices that are not admitted; NULL: revision
ALTER TABLE history ADD COLUMN step text NOT NULL DEFAULT ''; -- of a release`}, {statements: `
-- The salts of the last statement's digests of secrets, as secrets have a value; NULL for none.
ALTER TABLE signatures ADD COLUMN salts text; -- canonical JSON`}, {statements: `
-- The audit log. As with changes, who draws a number holds the row until its commit.
CREATE TABLE audit (
	number   bigint PRIMARY KEY,
	act      uuid NOT NULL UNIQUE,
	at       bigint NOT NULL, -- milliseconds since 1970
	request  text NOT NULL,
	kind     text NOT NULL, -- audit.Kind
	name     text NOT NULL,
	person   text NOT NULL,
	role     text NOT NULL,
	scope    text NOT NULL,
	address  text NOT NULL,
	proxy    text NOT NULL,
	agent    text NOT NULL,
	verb     text NOT NULL,
	thing    text NOT NULL,
	details  text NOT NULL,
	result   text NOT NULL, -- audit.Result
	status   bigint NOT NULL,
	reason   text NOT NULL,
	revision bigint NOT NULL,
	times    bigint NOT NULL
);
CREATE INDEX audit_not_done ON audit (number) WHERE result <> 'done';
INSERT INTO counters (name, value) VALUES ('audit', 0);
-- Whether the holder of a token names the person.
ALTER TABLE tokens ADD COLUMN proxy boolean NOT NULL DEFAULT false;`}}

// A migration leads to the next version: by statements, and by a function for what statements cannot do.
type migration struct {
	statements string
	fill       func(context.Context, pgx.Tx) error
}

// fillKeyDigests computes the digests by which devices are found when they register again. If several devices turn out
// to have the same key, only the first gets the digest.
func fillKeyDigests(ctx context.Context, tx pgx.Tx) error {
	const portion = 1000
	for last := int64(0); ; {
		found, err := tx.Query(ctx, `SELECT number, public_key_rsa, key_digest FROM devices WHERE number > $1
			ORDER BY number LIMIT $2`, last, portion)
		if err != nil {
			return err
		}
		read := 0
		want := map[int64][]byte{}
		var odd []int64
		var key rows.Text
		var kept []byte
		_, err = pgx.ForEachRow(found, []any{&last, &key, &kept}, func() error {
			read++
			// A device without a digest is not the first one with its key.
			if of := wholeDigest(string(key)); kept != nil && !bytes.Equal(of, kept) {
				odd, want[last] = append(odd, last), of
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, number := range odd {
			if err := setDigest(ctx, tx, number, want[number]); err != nil {
				return err
			}
		}
		if read < portion {
			return nil
		}
	}
}

// wholeDigest returns the digest that the column had before it had half of it.
func wholeDigest(publicKey string) []byte {
	if publicKey == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(fleet.SameKey(publicKey)))
	return sum[:]
}

// setDigest sets the digest of a device. It first removes the digest from another device that has it.
func setDigest(ctx context.Context, tx pgx.Tx, number int64, digest []byte) error {
	_, err := tx.Exec(ctx, "UPDATE devices SET key_digest = NULL WHERE number = $1 OR number > $1 AND key_digest = $2", number, digest)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE devices SET key_digest = $2 WHERE number = $1
		AND NOT EXISTS (SELECT 1 FROM devices WHERE key_digest = $2)`, number, digest)
	return err
}

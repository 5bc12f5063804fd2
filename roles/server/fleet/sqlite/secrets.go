package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

const selectSecret = "SELECT " + rows.SecretColumns + " FROM secrets"

func scanSecret(from interface{ Scan(...any) error }) (fleet.Secret, error) {
	var row rows.Secret
	if err := from.Scan(row.Into()...); err != nil {
		return fleet.Secret{}, err
	}
	secret, err := row.Secret()
	return secret, damaged(err)
}

// presentSecret returns the named secret in the transaction; with revision 0 if there is none.
func presentSecret(ctx context.Context, conn *sql.Conn, name string) (fleet.Secret, error) {
	secret, err := scanSecret(conn.QueryRowContext(ctx, selectSecret+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.Secret{}, nil
	}
	return secret, err
}

// ChangeSecret implements fleet.Store.
func (s *Store) ChangeSecret(ctx context.Context, change fleet.SecretChange) (fleet.Secret, error) {
	var secret fleet.Secret
	var notices []fleet.Notice
	own := int64(0)
	err := s.change(ctx, "store a secret in", scope{all: true}, func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		before, err := presentSecret(ctx, conn, change.Name)
		if err != nil {
			return err
		}
		text := []byte(fleet.ReferenceTo(change.Name))
		var uses fleet.Uses
		if err := conn.QueryRowContext(ctx, "SELECT count(*), coalesce(max(revision), 0) FROM ("+
			"SELECT revision FROM layers WHERE instr(config, ?1) > 0"+
			" UNION ALL SELECT revision FROM device_layers WHERE instr(config, ?1) > 0"+
			" UNION ALL SELECT revision FROM release_layers WHERE instr(config, ?1) > 0)", text).Scan(&uses.Layers, &uses.Last); err != nil {
			return err
		}
		revision, amid, err := nextRevision(ctx, conn)
		if err != nil {
			return err
		}
		var entry *fleet.Entry
		if secret, entry, err = change.Apply(before, uses, revision); err != nil || entry == nil {
			return err
		}
		if err := record(ctx, conn, *entry); err != nil {
			return err
		}
		notices = []fleet.Notice{{Kind: fleet.TargetChanged, Layer: entry.Layer, Revision: revision}}
		own = revision
		if change.Remove {
			_, err = conn.ExecContext(ctx, "DELETE FROM secrets WHERE name = ?", change.Name)
			return err
		}
		if _, err := conn.ExecContext(ctx, "INSERT OR REPLACE INTO secrets ("+rows.SecretColumns+") VALUES (?, ?, ?, ?, ?)",
			rows.SecretValues(secret)...); err != nil {
			return err
		}
		waiting := fleet.Waiting{Amid: amid}.Of(revision)
		for _, concern := range []string{
			"INSERT OR REPLACE INTO concerns (selector, revision, waiting) SELECT DISTINCT selector, ?2, ?3 FROM (" +
				"SELECT selector FROM layers WHERE instr(config, ?1) > 0 UNION ALL" +
				" SELECT selector FROM release_layers WHERE instr(config, ?1) > 0 AND name NOT LIKE 'devices/%')",
			"UPDATE standings SET own_revision = ?2 WHERE device IN (SELECT device FROM device_layers WHERE instr(config, ?1) > 0)",
			"UPDATE standings SET own_revision = ?2 WHERE device IN (SELECT d.id FROM devices d JOIN release_layers l" +
				" ON l.name = 'devices/' || lower(substr(hex(d.uuid), 1, 8) || '-' || substr(hex(d.uuid), 9, 4) || '-' || substr(hex(d.uuid), 13, 4)" +
				" || '-' || substr(hex(d.uuid), 17, 4) || '-' || substr(hex(d.uuid), 21)) WHERE instr(l.config, ?1) > 0)",
		} {
			if _, err := conn.ExecContext(ctx, concern, text, revision, waiting); err != nil {
				return err
			}
		}
		return nil
	}, func() []fleet.Notice {
		s.others.revision = max(s.others.revision, own) // the writer holds the lock
		return notices
	})
	if err != nil {
		return fleet.Secret{}, err
	}
	return secret, nil
}

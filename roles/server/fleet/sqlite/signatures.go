package sqlite

import (
	"context"
	"database/sql"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

// Sign implements fleet.Store.
func (s *Store) Sign(ctx context.Context, change fleet.SignatureChange) (fleet.Signature, error) {
	var stored fleet.Signature
	var notices []fleet.Notice
	err := s.change(ctx, "store a statement in", scope{}, func(conn *sql.Conn) error {
		ctx := context.WithoutCancel(ctx)
		var last int64
		if err := conn.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM signatures").Scan(&last); err != nil {
			return err
		}
		revision, amid, err := nextRevision(ctx, conn)
		if err != nil {
			return err
		}
		var entry fleet.Entry
		if stored, entry, err = change.Apply(last, revision); err != nil {
			return err
		}
		if err := record(ctx, conn, entry); err != nil {
			return err
		}
		if change.Remove {
			_, err = conn.ExecContext(ctx, "DELETE FROM signatures")
		} else {
			_, err = conn.ExecContext(ctx, "UPDATE signatures SET manifest = NULL, salts = NULL WHERE manifest IS NOT NULL")
		}
		if err == nil && !change.Remove {
			_, err = conn.ExecContext(ctx, "INSERT INTO signatures ("+rows.SignatureColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				rows.SignatureValues(stored)...)
		}
		if err == nil && change.Remove { // a new statement concerns all devices anyway
			_, err = conn.ExecContext(ctx, "INSERT OR REPLACE INTO concerns (selector, revision, waiting) VALUES ('', ?, ?)", revision,
				fleet.Waiting{Amid: amid}.Of(revision))
		}
		notices = []fleet.Notice{{Kind: fleet.TargetChanged, Layer: fleet.SignatureName, Revision: revision}}
		return err
	}, func() []fleet.Notice { return notices })
	if err != nil {
		return fleet.Signature{}, err
	}
	return stored, nil
}

// Signatures implements fleet.Store.
func (s *Store) Signatures(ctx context.Context) (list []fleet.Signature, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	err = eachRow(ctx, s.read, "SELECT "+rows.SignatureColumns+" FROM signatures ORDER BY number", func(found *sql.Rows) error {
		var row rows.Signature
		if err := found.Scan(row.Into()...); err != nil {
			return err
		}
		signature, err := row.Signature()
		list = append(list, signature)
		return err
	})
	if err != nil {
		return nil, s.fail("read the statements from", err)
	}
	return list, nil
}

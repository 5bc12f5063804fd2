package postgres

import (
	"context"
	"crypto/sha256"
	"testing"

	"aspects-poc/roles/server/fleet/rows"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Hold keeps the store from looking for changes until the function that it returns is called.
func (s *Store) Hold() (release func()) {
	s.looking.Lock()
	return s.looking.Unlock
}

// Forget drops all changes, as Maintain does with old ones.
func (s *Store) Forget(ctx context.Context) error {
	_, err := s.pool().Exec(ctx, "DELETE FROM changes")
	return err
}

// CreateOld makes a database as the program wrote it before the digests were of keys, with devices of some public keys.
func CreateOld(t *testing.T, url string, ids []uuid.UUID, keys []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := migrate(t.Context(), conn, migrations[:6], false); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		digest := sha256.Sum256([]byte(keys[i]))
		_, err := conn.Exec(t.Context(), `WITH new AS (INSERT INTO devices (uuid, registered, ip_address, public_key_rsa, arch, key_digest, status, labels)
			VALUES ($1, 1719407517, '', $2, '', $3, 0, '{}') RETURNING number), report AS (INSERT INTO reports (device) SELECT number FROM new)
			INSERT INTO seen (device) SELECT number FROM new`, id, rows.Text(keys[i]), digest[:])
		if err != nil {
			t.Fatal(err)
		}
	}
}

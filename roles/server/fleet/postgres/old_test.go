package postgres_test

import (
	"testing"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/storetest"

	"github.com/jackc/pgx/v5"
)

// TestOldDatabases opens databases of older versions of this program.
func TestOldDatabases(t *testing.T) {
	storetest.Old(t, "fleet.sql", func(t *testing.T, dump []byte) func() (fleet.Store, access.Store) {
		url := postgrestest.URL(t)
		execute(t, url, string(dump))
		return func() (fleet.Store, access.Store) {
			store, err := postgres.Open(t.Context(), url, postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return store, store
		}
	})
}

// execute runs statements on a connection of their own.
func execute(t *testing.T, url, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := conn.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

package sqlite_test

import (
	"path/filepath"
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/server/fleet/storetest"
)

func TestStaged(t *testing.T) {
	t.Parallel()
	storetest.Staged(t, 1, 12, 250, func(t *testing.T) func() fleet.Store {
		path := filepath.Join(t.TempDir(), "server.db")
		return func() fleet.Store {
			store, err := sqlitetest.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
	})
}

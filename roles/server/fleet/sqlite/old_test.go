package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestOldFiles opens files of older versions of this program.
func TestOldFiles(t *testing.T) {
	storetest.Old(t, "server.db", func(t *testing.T, file []byte) func() (fleet.Store, access.Store) {
		path := filepath.Join(t.TempDir(), "server.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return func() (fleet.Store, access.Store) {
			store, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return store, store.Tokens()
		}
	})
}

package sqlite_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

func TestSealed(t *testing.T) {
	storetest.Sealed(t, func(t *testing.T) (func() fleet.Store, func() []byte) {
		path := filepath.Join(t.TempDir(), "server.db")
		return func() fleet.Store {
			store, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return store
		}, func() []byte { return files(t, path) }
	})
}

// files returns the bytes of all files beside a database.
func files(t *testing.T, path string) []byte {
	t.Helper()
	list, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range list {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}

// TestSealedOldFile opens a file of an older version of this program, with secrets in it and in its free pages.
func TestSealedOldFile(t *testing.T) {
	packed, err := os.Open(filepath.Join("..", "storetest", "testdata", "c2fd671", "server.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	old, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.db")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(of string) []byte {
		return []byte(`{"network/control-tunnel":{"secret-key":"` + storetest.Canary + of + `"}}`)
	}
	for _, of := range []string{"before", "after"} { // what is overwritten stays in the file
		for _, statement := range []string{"UPDATE layers SET config = ?", "UPDATE device_layers SET config = ?",
			"UPDATE history SET before = ?1, after = ?1",
			"UPDATE reports SET config = ?1, reason = CAST(?1 AS TEXT), path = CAST(?1 AS TEXT)"} {
			if _, err := db.Exec(statement, secret(of)); err != nil {
				t.Fatal(statement, err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(files(t, path), []byte(storetest.Canary)) {
		t.Fatal("there is nothing to seal")
	}
	ring := seal.Random()
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := fleet.Open(t.Context(), store, fleet.Options{Schema: network.Document(""),
		Keys: func(bool) (*seal.Ring, error) { return ring, nil }})
	if err != nil {
		t.Fatal(err)
	}
	layers, _, err := rules.Targets()
	if err != nil || len(layers) == 0 || !strings.Contains(layers[0].Config.String(), `"$secret":"set"`) {
		t.Errorf("the layers are %v, %v", layers, err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := errors.Join(rules.Close(), sqlite.Backup(t.Context(), path, backup), store.Close()); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files(t, path), []byte(storetest.Canary)) || bytes.Contains(files(t, backup), []byte(storetest.Canary)) {
		t.Error("a secret is plain")
	}
}

// TestRewriteBesideReader has a reader in the way: Rewrite does not say that nothing is left of what was there before.
func TestRewriteBesideReader(t *testing.T) {
	t.Parallel() // it waits for ten seconds
	path := filepath.Join(t.TempDir(), "server.db")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var devices int
	if err := reader.QueryRowContext(t.Context(), "SELECT count(*) FROM devices").Scan(&devices); err != nil {
		t.Fatal(err)
	}
	keep := func(fleet.Holding) error { return nil }
	if _, err := store.Rewrite(t.Context(), keep); err == nil || !strings.Contains(err.Error(), "another program is reading the file") {
		t.Errorf("beside a reader: %v", err)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Rewrite(t.Context(), keep); err != nil {
		t.Error(err)
	}
}

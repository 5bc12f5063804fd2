package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

// everyone sets the layer of everyone.
func everyone(t *testing.T, store *sqlite.Store, config string) fleet.Layer {
	t.Helper()
	layer, err := storetest.Change(t.Context(), store, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: storetest.Config(t, config)}})
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "server.db"), filepath.Join(dir, "odd ?%20#copy.db")
	store := open(t, path)
	device := reporting(t, store, `{"a":1}`)
	everyone(t, store, `{"n":1}`)
	if err := sqlite.Backup(t.Context(), path, copied); err != nil { // while it runs
		t.Fatal(err)
	}
	if err := sqlite.Backup(t.Context(), path, copied); !errors.Is(err, sqlite.ErrExists) {
		t.Errorf("a backup took another's place: %v", err)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	after := reporting(t, store, `{"a":2}`)
	everyone(t, store, `{"n":2}`)
	if _, err := sqlite.Restore(t.Context(), copied, path); !errors.Is(err, sqlite.ErrInUse) {
		t.Fatalf("restored under a running server: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Restore(t.Context(), copied, path); err != nil {
		t.Fatal(err)
	}
	store = open(t, path)
	if got, err := store.Device(t.Context(), device.ID); err != nil || got.Config.String() != `{"a":1}` {
		t.Error(got.Config, err)
	}
	if _, err := store.Device(t.Context(), after.ID); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
	layer, err := store.Layer(t.Context(), fleet.Everyone)
	if err != nil || layer.Revision != 1 || layer.Config.String() != `{"n":1}` {
		t.Error(layer, err)
	}
	// Revision 2 was drawn, and may be known to devices: it does not come again.
	if layer := everyone(t, store, `{"n":3}`); layer.Revision <= 2+900 {
		t.Errorf("revision %d", layer.Revision)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	previous := open(t, path+".previous")
	if _, err := previous.Device(t.Context(), after.ID); err != nil {
		t.Error(err)
	}
}

// TestRestoreRefuses what is no whole backup, and leaves all as it was.
func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "server.db"), filepath.Join(dir, "copy.db")
	store := open(t, path)
	for range 200 {
		reporting(t, store, `{"some":"thing"}`)
	}
	if err := errors.Join(sqlite.Backup(t.Context(), path, copied), store.Close()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.db")
	for name, content := range map[string]string{
		"half": string(good[:len(good)/2]), "empty": "", "text": strings.Repeat("notes\n", 1000),
		"noise": string(good[:8192]) + strings.Repeat("\xa5", 4096) + string(good[12288:]),
	} {
		if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sqlite.Restore(t.Context(), bad, path)
		if !errors.Is(err, sqlite.ErrDamaged) && !errors.Is(err, sqlite.ErrForeign) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sqlite.Restore(t.Context(), filepath.Join(dir, "none.db"), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := sqlite.Backup(t.Context(), filepath.Join(dir, "none.db"), bad+"2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path + ".previous"); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was set aside", err)
	}
	if n, err := open(t, path).Count(t.Context()); n != 200 || err != nil {
		t.Error(n, err)
	}
}

// TestRestoreOverDamage puts a backup in the place of what cannot be opened any more, and of nothing.
func TestRestoreOverDamage(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "server.db"), filepath.Join(dir, "copy.db")
	store := open(t, path)
	reporting(t, store, `{}`)
	if err := errors.Join(sqlite.Backup(t.Context(), path, copied), store.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not any more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{path, filepath.Join(dir, "new", "server.db")} {
		if _, err := sqlite.Restore(t.Context(), copied, place); err != nil {
			t.Fatal(err)
		}
		restored, err := sqlite.Open(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := restored.Count(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
		if err := restored.Close(); err != nil {
			t.Error(err)
		}
	}
	// Each that was there is kept.
	if previous, err := sqlite.Restore(t.Context(), copied, path); err != nil || previous != path+".previous.2" {
		t.Error(previous, err)
	}
	if n, err := open(t, path+".previous.2").Count(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
	if text, err := os.ReadFile(path + ".previous"); err != nil || string(text) != "not any more" {
		t.Error(string(text), err)
	}
}

package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

// TestCheckOnAFullDisk fills a real file system, as far as a registration goes and as far as it goes at all.
func TestCheckOnAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=600k"); err != nil {
		t.Skipf("TestCheckOnAFullDisk needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	store, err := sqlite.Open(t.Context(), filepath.Join(disk, "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		if err := store.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	targets, err := store.Targets(t.Context())
	if err != nil || targets.Revision != 0 {
		t.Error("a check has drawn a revision:", targets.Revision, err)
	}
	fill := filepath.Join(disk, "fill")
	if err := os.WriteFile(fill, make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	_, err = store.Add(t.Context(), storetest.Device(t), 0)
	if err == nil {
		t.Fatal("a device was added on a full disk: the test shows nothing")
	}
	for range 3 {
		if err := store.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "full") && !strings.Contains(err.Error(), "no space") {
			t.Error(err)
		}
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Error("there is room again:", err)
	}
	if entries, err := os.ReadDir(disk); err != nil || len(entries) != 4 {
		t.Error("a check leaves files behind:", entries, err)
	}
}

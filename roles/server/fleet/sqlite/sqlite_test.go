package sqlite_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, place string) fleet.Store {
		return open(t, filepath.Join(place, "odd ?%20#name", "server.db"))
	})
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "server.db")
	store := open(t, path)
	if _, err := store.Add(t.Context(), storetest.Device(t, `{}`)); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", filepath.Base(name), info.Mode())
		}
	}
}

func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	first := open(t, path)
	_, err := sqlite.Open(t.Context(), path)
	if !errors.Is(err, sqlite.ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())+";") ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// TestGroupCommit has many callers wait for a busy writer: they are all answered by its next commits, each with what
// concerns it, and one who has gone has written nothing.
func TestGroupCommit(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "server.db"))
	release := store.Hold(t)
	var wait sync.WaitGroup
	const callers = 50
	list := make([]fleet.Device, callers)
	for i := range list {
		list[i] = storetest.Device(t, `{}`)
		wait.Go(func() {
			if _, err := store.Add(t.Context(), list[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Go(func() {
		err := store.Report(t.Context(), storetest.Device(t, `{}`).ID, fleet.Config{}, time.Now())
		if !errors.Is(err, fleet.ErrUnknownDevice) {
			t.Errorf("unknown device among others: %v", err)
		}
	})
	for store.Queued() < callers+1 {
		runtime.Gosched()
	}
	release()
	wait.Wait()
	if n, err := store.Count(t.Context()); n != callers || err != nil {
		t.Error(n, err)
	}
}

func TestFullDisk(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "server.db"))
	device := storetest.Device(t, `{"kept":true}`)
	if _, err := store.Add(t.Context(), device); err != nil {
		t.Fatal(err)
	}
	store.LimitPages(t, 2)
	large := storetest.Config(t, `{"large":"`+strings.Repeat("x", 1<<16)+`"}`)
	err := store.Report(t.Context(), device.ID, large, time.Now())
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "server.db") {
		t.Errorf("got %v", err)
	}
	if got, err := store.Device(t.Context(), device.ID); err != nil || got.Config.String() != `{"kept":true}` {
		t.Errorf("%s %v", got.Config, err)
	}
	if err := store.Report(t.Context(), device.ID, device.Config, time.Now()); err != nil {
		t.Errorf("a report that repeats the last: %v", err)
	}
	store.LimitPages(t, 0)
	if err := store.Report(t.Context(), device.ID, large, time.Now()); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestDamage spoils a good database in many ways. None may be taken for an empty one.
func TestDamage(t *testing.T) {
	good := filepath.Join(t.TempDir(), "server.db")
	store := open(t, good)
	for range 200 {
		if _, err := store.Add(t.Context(), storetest.Device(t, `{"some":"thing"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	sql := func(statement string) func(*testing.T, string) {
		return func(t *testing.T, path string) { exec(t, path, statement) }
	}
	write := func(change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, change(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  error
	}{
		{"emptied", write(func(b []byte) []byte { return nil }), sqlite.ErrDamaged},
		{"header cut", write(func(b []byte) []byte { return b[:50] }), sqlite.ErrDamaged},
		{"half", write(func(b []byte) []byte { return b[:len(b)/2] }), sqlite.ErrDamaged},
		{"last page lost", write(func(b []byte) []byte { return b[:len(b)-4096] }), sqlite.ErrDamaged},
		{"last byte lost", write(func(b []byte) []byte { return b[:len(b)-1] }), sqlite.ErrDamaged},
		{"zeros in the middle", write(func(b []byte) []byte {
			copy(b[4096:], make([]byte, len(b)-8192))
			return b
		}), sqlite.ErrDamaged},
		{"noise in a page", write(func(b []byte) []byte {
			copy(b[8192:], bytes.Repeat([]byte{0xA5}, 4096))
			return b
		}), sqlite.ErrDamaged},
		{"text", write(func([]byte) []byte { return bytes.Repeat([]byte("notes\n"), 1000) }), sqlite.ErrForeign},
		{"another program's database", sql("PRAGMA application_id = 7"), sqlite.ErrForeign},
		{"from the future", sql("PRAGMA user_version = 99"), sqlite.ErrNewer},
		{"target is no JSON", sql(`INSERT INTO target VALUES (1, x'7b', 0)`), sqlite.ErrDamaged},
		{"directory", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, sqlite.ErrForeign},
		{"only the log is left", func(t *testing.T, path string) {
			if err := os.Rename(path, path+"-wal"); err != nil {
				t.Fatal(err)
			}
		}, sqlite.ErrDamaged},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, path)
			for range 2 { // the refusal must not mend it into emptiness
				store, err := sqlite.Open(t.Context(), path)
				if err == nil {
					n, err := store.Count(t.Context())
					t.Fatalf("opened, with %d devices (%v): %v", n, err, store.Close())
				}
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func exec(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedReport is found when it is read, and is not taken for an empty configuration.
func TestDamagedReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	store := open(t, path)
	device := storetest.Device(t, `{"a":1}`)
	if _, err := store.Add(t.Context(), device); err != nil {
		t.Fatal(err)
	}
	exec(t, path, `UPDATE reports SET config = x'ff'`)
	if got, err := store.Device(t.Context(), device.ID); !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("%s %v", got.Config, err)
	}
}

// TestLeftOver has a creation that was interrupted before.
func TestLeftOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := open(t, path).Count(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func TestMaintain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	store := open(t, path)
	if _, err := store.Add(t.Context(), storetest.Device(t, `{}`)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if log, err := os.Stat(path + "-wal"); err != nil || log.Size() != 0 {
		t.Errorf("%v bytes of log, %v", log.Size(), err)
	}
}

// TestRepeatedReport answers a report that repeats the device's last one while the writer is busy, and only that.
func TestRepeatedReport(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "server.db"))
	device := storetest.Device(t, `{"a":1}`)
	if _, err := store.Add(t.Context(), device); err != nil {
		t.Fatal(err)
	}
	report := func(config string) error {
		return store.Report(t.Context(), device.ID, storetest.Config(t, config), time.Now())
	}
	for _, config := range []string{`{"a":1}`, `{"a":2}`} { // the first is in the file, the second is new
		if err := report(config); err != nil {
			t.Fatal(err)
		}
		release := store.Hold(t)
		if err := report(config); err != nil {
			t.Error(err)
		}
		release()
	}
	release := store.Hold(t)
	changed := make(chan error, 1)
	go func() { changed <- report(`{"a":1}`) }()
	for store.Queued() == 0 { // a report of before the last one is a change
		runtime.Gosched()
	}
	release()
	if err := <-changed; err != nil {
		t.Error(err)
	}
	if got, err := store.Device(t.Context(), device.ID); err != nil || got.Config.String() != `{"a":1}` {
		t.Error(got.Config, err)
	}
}

// TestFirstVersion opens a file that was written before devices were known by their keys, with one registered twice.
func TestFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	store := open(t, path)
	list := []fleet.Device{storetest.Device(t, `{"n":1}`), storetest.Device(t, `{"n":2}`), storetest.Device(t, `{"n":3}`)}
	for _, device := range list {
		if _, err := store.Add(t.Context(), device); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DROP INDEX devices_by_key", "ALTER TABLE devices DROP COLUMN key_digest", "PRAGMA user_version = 1",
		"UPDATE devices SET public_key_rsa = (SELECT public_key_rsa FROM devices WHERE id = 1) WHERE id = 2",
	} {
		exec(t, path, statement)
	}
	store = open(t, path)
	for i, want := range map[int]int{0: 0, 2: 2} {
		again := storetest.Device(t, `{}`)
		again.PublicKeyRSA = list[i].PublicKeyRSA
		if kept, err := store.Add(t.Context(), again); err != nil || kept.ID != list[want].ID {
			t.Errorf("device %d: %v %v", i, kept, err)
		}
	}
	if n, err := store.Count(t.Context()); err != nil || n != len(list) {
		t.Error(n, err)
	}
}

// TestOtherName refuses a second process that calls the file by another name.
func TestOtherName(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "server.db"), filepath.Join(dir, "link.db")
	open(t, path)
	if err := os.Symlink("server.db", link); err != nil {
		t.Fatal(err)
	}
	if store, err := sqlite.Open(t.Context(), link); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("got %v, %v", store, err)
	}
}

// TestExplain says what to do about what the system refuses before SQLite comes into it.
func TestExplain(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "make room", syscall.EDQUOT: "make room", syscall.EACCES: "check that this user may write",
		syscall.EROFS: "check that this user may write",
	} {
		cause := &os.PathError{Op: "write", Path: "server.db.lock", Err: errno}
		if err := sqlite.Explain(cause); !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

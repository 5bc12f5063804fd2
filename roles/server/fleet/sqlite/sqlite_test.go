package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/server/fleet/storetest"

	"github.com/google/uuid"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlitetest.Open(t.Context(), path)
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
	}, storetest.Options{})
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "server.db")
	store := open(t, path)
	if _, err := store.Add(t.Context(), storetest.Device(t), 0); err != nil {
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
// concerns it.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		release := store.Hold(t)
		const callers = 50
		list := make([]fleet.Device, callers)
		var wait sync.WaitGroup
		for i := range list {
			list[i] = storetest.Device(t)
			list[i].Labels = fleet.Labels{"third": strconv.Itoa(i % 3)}
			wait.Go(func() {
				if _, err := store.Add(t.Context(), list[i], 0); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Go(func() {
			_, err := store.Report(t.Context(), storetest.Device(t).ID, fleet.Report{At: time.Now()})
			if !errors.Is(err, fleet.ErrUnknownDevice) {
				t.Errorf("unknown device among others: %v", err)
			}
		})
		synctest.Wait()
		release()
		wait.Wait()
		for _, device := range list {
			if kept, err := store.Device(t.Context(), device.ID); err != nil || !kept.Labels.Equal(device.Labels) {
				t.Errorf("%v, %v", kept, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// reporting is a device that has reported something.
func reporting(t *testing.T, store *sqlite.Store, config string) fleet.Device {
	t.Helper()
	device := storetest.Device(t)
	if _, err := store.Add(t.Context(), device, 0); err != nil {
		t.Fatal(err)
	}
	report := fleet.Report{Config: storetest.Config(t, config), At: time.Now()}
	if _, err := store.Report(t.Context(), device.ID, report); err != nil {
		t.Fatal(err)
	}
	return device
}

func TestFullDisk(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "server.db"))
	device := reporting(t, store, `{"kept":true}`)
	store.LimitPages(t, 2)
	large := fleet.Report{Config: storetest.Config(t, `{"large":"`+strings.Repeat("x", 1<<16)+`"}`), At: time.Now()}
	_, err := store.Report(t.Context(), device.ID, large)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "server.db") {
		t.Errorf("got %v", err)
	}
	if got, err := store.Device(t.Context(), device.ID); err != nil || got.Config.String() != `{"kept":true}` {
		t.Errorf("%s %v", got.Config, err)
	}
	store.LimitPages(t, 0)
	if _, err := store.Report(t.Context(), device.ID, large); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestDamage spoils a good database in many ways. None may be taken for an empty one.
func TestDamage(t *testing.T) {
	good := filepath.Join(t.TempDir(), "server.db")
	store := open(t, good)
	for range 200 {
		if _, err := store.Add(t.Context(), storetest.Device(t), 0); err != nil {
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
		{"target is no JSON", sql(`INSERT INTO layers VALUES ('everyone', '', 0, x'7b', 1, '', 0)`), sqlite.ErrDamaged},
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

func exec(t *testing.T, path, statement string, arguments ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement, arguments...); err != nil {
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
	device := reporting(t, store, `{"a":1}`)
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
	if _, err := store.Add(t.Context(), storetest.Device(t), 0); err != nil {
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

// TestFirstVersion opens a file that was written before devices were known by their keys, with one registered twice.
func TestFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	sqlite.CreateVersion(t, path, 1)
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for i, id := range ids {
		key := []string{"PEM", "PEM", "other PEM"}[i]
		exec(t, path, `INSERT INTO devices VALUES (?, ?, 1719407517, '192.0.2.7', ?, 'amd64')`, i+1, id[:], key)
		exec(t, path, `INSERT INTO reports VALUES (?, CAST('{"n":1}' AS BLOB), 1719407520)`, i+1)
	}
	store := open(t, path)
	for key, want := range map[string]uuid.UUID{"PEM": ids[0], "other PEM": ids[2]} {
		again := storetest.Device(t)
		again.PublicKeyRSA = key
		if kept, err := store.Add(t.Context(), again, 0); err != nil || kept.ID != want {
			t.Errorf("%s: %v %v", key, kept, err)
		}
	}
	if n, err := store.Count(t.Context()); err != nil || n != len(ids) {
		t.Error(n, err)
	}
}

// TestOldKeys opens a file in which devices are found by the text of their keys.
func TestOldKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	sqlite.CreateVersion(t, path, 2)
	ids, keys := storetest.OldKeys(t)
	for i, id := range ids {
		digest := sha256.Sum256([]byte(keys[i]))
		exec(t, path, `INSERT INTO devices VALUES (?, ?, 1719407517, '192.0.2.7', ?, 'amd64', ?)`, i+1, id[:], keys[i], digest[:16])
		exec(t, path, `INSERT INTO reports VALUES (?, CAST('{}' AS BLOB), 1719407517)`, i+1)
	}
	storetest.FindsOldKeys(t, open(t, path), ids, keys)
}

// TestSecondVersion opens a file of version 0.3 of this program, with its one target.
func TestSecondVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	sqlite.CreateVersion(t, path, 2)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicKey := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	polled, fresh := uuid.New(), uuid.New()
	exec(t, path, `INSERT INTO devices VALUES (1, ?, 1719407517, '192.0.2.7', ?, 'amd64', x'00')`, polled[:], publicKey)
	exec(t, path, `INSERT INTO reports VALUES (1, CAST('{"a":{"n":1}}' AS BLOB), 1719407600)`)
	exec(t, path, `INSERT INTO devices VALUES (5, ?, 1719407518, '::1', 'no PEM', 'arm64', x'01')`, fresh[:])
	exec(t, path, `INSERT INTO reports VALUES (5, CAST('{}' AS BLOB), 1719407518)`)
	exec(t, path, `INSERT INTO target VALUES (1, CAST('{"a":{"n":2}}' AS BLOB), 1719407700)`)
	for range 2 {
		store, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		// Nobody has shown yet that the key is that device's.
		if device, err := store.DeviceByKey(t.Context(), fleet.KeyID(publicKey)); !errors.Is(err, fleet.ErrUnknownDevice) {
			t.Errorf("%+v %v", device, err)
		}
		device, err := store.Device(t.Context(), polled)
		if err != nil || device.KeyID != "" || device.ID != polled || device.PublicKeyRSA != publicKey || device.Config.String() != `{"a":{"n":1}}` ||
			device.Registered.Unix() != 1719407517 || device.Report.At.Unix() != 1719407600 || device.LastSeen.Unix() != 1719407600 ||
			device.Labels != nil || device.Status != fleet.Active || device.OwnRevision != 0 {
			t.Errorf("%+v %v", device, err)
		}
		device, err = store.Device(t.Context(), fresh)
		if err != nil || !device.Report.At.IsZero() || !device.LastSeen.Equal(device.Registered) || device.KeyID != "" {
			t.Errorf("%+v %v", device, err)
		}
		targets, err := store.Targets(t.Context())
		if err != nil || targets.Everyone.Config.String() != `{"a":{"n":2}}` || targets.Everyone.Revision != 1 ||
			targets.Revision != 1 || targets.Everyone.At.Unix() != 1719407700 || len(targets.Concerns) != 1 {
			t.Errorf("%+v %v", targets, err)
		}
		entry, err := store.Entry(t.Context(), 1)
		if err != nil || entry.Before != nil || entry.After.String() != `{"a":{"n":2}}` || entry.Layer != fleet.Everyone {
			t.Errorf("%+v %v", entry, err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVersionWithoutTarget opens one in which no target was ever set.
func TestVersionWithoutTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.db")
	sqlite.CreateVersion(t, path, 2)
	targets, err := open(t, path).Targets(t.Context())
	if err != nil || targets.Revision != 0 || targets.Everyone.Revision != 0 {
		t.Errorf("%+v %v", targets, err)
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

package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"aspects-poc/internal/regular"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The reasons why a file cannot be opened.
var (
	ErrInUse   = errors.New("another process is using it")
	ErrDamaged = errors.New("it is damaged")
	ErrForeign = errors.New("it is not a fleet server's database")
	ErrNewer   = errors.New("a newer version of this program has written it")
)

// checkedWhole is the largest size, in bytes, of a database that is checked from end to end when it is opened. That
// takes half a second. For larger ones only the size is checked, and SQLite finds other damage when it reads the page.
const checkedWhole = 64 << 20

// busyTimeout is how long to wait for another program that has locked the file, in milliseconds.
const busyTimeout = "10000"

const damageRemedy = "put a backup in its place, or try \"sqlite3 FILE .recover\"; " +
	"to begin anew without any device, move it away together with the files of its name that end in -wal and -shm"

// acquire makes this process the owner of the file at path. It makes a missing directory.
func acquire(path string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		holder := "an unknown process"
		if text, err := os.ReadFile(lock.Path()); err == nil && len(text) > 0 {
			holder = strings.TrimSpace(string(text))
		}
		return nil, fmt.Errorf("%w: %s; stop that one, or give this one a file of its own", ErrInUse, holder)
	}
	holder := fmt.Sprintf("%s, process %d\n", filepath.Base(os.Args[0]), os.Getpid())
	if err := os.WriteFile(lock.Path(), []byte(holder), 0o600); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return lock, nil
}

// createIfMissing makes a new database, which gets its name when it is complete: after a crash an empty file would look
// like a truncated one.
func createIfMissing(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, rest := range []string{"-wal", "-journal"} {
		if _, err := os.Lstat(path + rest); err == nil {
			return fmt.Errorf("%w: the file is missing but %q is there, with changes that belong to it; "+
				"put the file back, or move the other away to begin without any device", ErrDamaged, path+rest)
		}
	}
	temporary := path + ".new"
	for _, rest := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(temporary + rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = create(ctx, temporary)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDirectory(path)
}

func create(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dataSource(path, "_pragma=synchronous(FULL)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		"PRAGMA journal_mode = WAL",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return errors.Join(migrate(ctx, db), db.Close())
}

// checkFile checks the file without SQLite, because SQLite takes an empty file for a new database, and accepts a
// truncated file until it needs a missing page.
func checkFile(path, remedy string) error {
	if err := regular.Check(path); err != nil {
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: it is no regular file", ErrForeign)
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: it is empty; %s", ErrDamaged, remedy)
	}
	header := make([]byte, 100)
	if _, err := io.ReadFull(file, header); errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it breaks off in its header; %s", ErrDamaged, remedy)
	} else if err != nil {
		return err
	}
	if string(header[:16]) != "SQLite format 3\x00" {
		if remedy == damageRemedy {
			remedy = "if it was one, " + remedy
		}
		return fmt.Errorf("%w: it does not begin like one; %s", ErrForeign, remedy)
	}
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return nil // pages may still be in the log
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if want := pageSize * int64(binary.BigEndian.Uint32(header[28:])); info.Size() < want {
		return fmt.Errorf("%w: %d of its %d bytes are missing; %s", ErrDamaged, want-info.Size(), want, remedy)
	}
	return nil
}

// checkContent asks SQLite whether the file is whole, ours, and not of a later version.
func checkContent(ctx context.Context, db *sql.DB, path string) error {
	if err := checkOurs(ctx, db); err != nil {
		return err
	}
	// A file that cannot be written must fail now, not for the first device.
	for _, statement := range []string{"BEGIN IMMEDIATE", "ROLLBACK"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > checkedWhole {
		return err
	}
	return checkPages(ctx, db)
}

func damagedPages(verdict string) error {
	return fmt.Errorf("%w: %s; %s", ErrDamaged, strings.ReplaceAll(verdict, "\n", " "), damageRemedy)
}

// dataSource returns the name of the file for the driver.
func dataSource(path, parameters string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(" + busyTimeout + ")&" + parameters
}

// explain adds to an error of SQLite or the system what to do.
func explain(err error) error {
	var refused *sqlite.Error
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk is full (%w); make room there, nothing that was acknowledged is lost", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; check that this user may write the file and its directory", err)
	case !errors.As(err, &refused) || errors.Is(err, ErrDamaged):
		return err
	}
	switch refused.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w); %s", ErrDamaged, err, damageRemedy)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full (%w); make room there, nothing that was acknowledged is lost", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("it cannot be written (%w); check that this user may write the file and its directory", err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("another program keeps it locked (%w); let that one finish", err)
	}
	return err
}

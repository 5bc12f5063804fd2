package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExists means that a backup would replace another file.
var ErrExists = errors.New("there is a file of this name already")

// revisionGap is how many revisions a restored database skips after the last known one. Devices may have seen revisions
// that were drawn after the backup, and those must not return with another meaning.
const revisionGap = 1000

// Backup writes a copy of the database at path, as of one moment, to a new file. It returns when the copy is on disk.
// The server may be running meanwhile. The copy has everything that the server acknowledged before the call.
func Backup(ctx context.Context, path, to string) error {
	err := backup(ctx, path, to)
	if err != nil {
		return fmt.Errorf("cannot back up %q to %q: %w", path, to, explain(err))
	}
	return nil
}

func backup(ctx context.Context, path, to string) error {
	if err := checkFile(path, damageRemedy); err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%w; name another", ErrExists)
	}
	db, err := sql.Open("sqlite", dataSource(path, ""))
	if err != nil {
		return err
	}
	err = checkOurs(ctx, db)
	if err == nil {
		err = copyTo(ctx, db, to+".new")
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link does not replace an existing file, unlike a rename.
	if err := os.Link(to+".new", to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w; name another", ErrExists)
		}
		return errors.Join(err, os.Remove(to+".new"))
	}
	return errors.Join(os.Remove(to+".new"), syncDirectory(to))
}

// copyTo writes a copy of a database. The copy is on disk when copyTo returns.
func copyTo(ctx context.Context, db *sql.DB, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to) // takes a file that is empty
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

func syncDirectory(file string) error {
	directory, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// checkOurs returns an error for a database that is not ours, or of a later version.
func checkOurs(ctx context.Context, db *sql.DB) error {
	id, err := pragma(ctx, db, "application_id")
	if err != nil {
		return err
	}
	if id != applicationID {
		return fmt.Errorf("%w; name another file", ErrForeign)
	}
	version, err := pragma(ctx, db, "user_version")
	if err != nil {
		return err
	}
	if version > int64(len(migrations)) {
		return fmt.Errorf("%w: its schema has version %d, this program knows up to %d; use that version, or another file",
			ErrNewer, version, len(migrations))
	}
	return nil
}

// backupRemedy ends an error about a file that cannot be restored.
const backupRemedy = "name a file that aspects-poc server backup has made; nothing was changed"

// Restore replaces the database at path by a backup. No server may be using the database (ErrInUse). It first checks
// the whole backup. It renames the present file: previous is the new name, the path with ".previous" at its end, and
// with a number if that exists already; "" if there was no file. After a crash at any moment one of the two files is at
// path.
//
// Revisions continue well above the last one of both, because devices may have seen some that the backup does not have.
func Restore(ctx context.Context, from, path string) (previous string, err error) {
	if previous, err = restore(ctx, from, path); err != nil {
		return "", fmt.Errorf("cannot restore %q to %q: %w", from, path, explain(err))
	}
	return previous, nil
}

func restore(ctx context.Context, from, path string) (previous string, err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := checkFile(from, backupRemedy); err != nil {
		return "", err
	}
	lock, err := acquire(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Truncate(lock.Path(), 0), lock.Unlock()) }()
	next := path + ".new"
	if err := copyBackup(ctx, from, next); err != nil {
		return "", err
	}
	previous, last, lastRecord, err := setAside(ctx, path)
	if err != nil {
		return "", err
	}
	if err := makeReady(ctx, next, last, lastRecord); err != nil {
		return "", err
	}
	if err := os.Rename(next, path); err != nil {
		return "", err
	}
	return previous, syncDirectory(path)
}

// setAside gives the present database a second name that no file has. It returns its last revision and the number of
// its last record of the audit log. A file that cannot be opened is set aside unchanged, because restoring over such a
// file is the purpose of backups.
func setAside(ctx context.Context, path string) (previous string, last, lastRecord int64, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", 0, 0, nil
	}
	if db, err := sql.Open("sqlite", dataSource(path, "")); err == nil {
		db.SetMaxOpenConns(1)
		// The last connection moves the log into the file when it closes.
		err = db.QueryRowContext(ctx, lastRevision).Scan(&last)
		_ = db.QueryRowContext(ctx, lastAudit).Scan(&lastRecord) // an older version has no records
		if closed := db.Close(); err != nil || closed != nil {
			last = 0
		}
	}
	previous, err = secondName(path)
	if err != nil {
		return "", 0, 0, err
	}
	for _, rest := range []string{"-wal", "-shm"} {
		// Files that could not be moved into the database. SQLite must not take them for those of the new file.
		if err := os.Rename(path+rest, previous+rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", 0, 0, err
		}
	}
	return previous, last, lastRecord, nil
}

// secondName links a file to the first free name for previous files.
func secondName(path string) (string, error) {
	name := path + ".previous"
	for number := 2; ; number++ {
		if err := os.Link(path, name); !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		name = fmt.Sprintf("%s.previous.%d", path, number)
	}
}

// copyBackup checks a backup and copies it.
func copyBackup(ctx context.Context, from, next string) error {
	source, err := sql.Open("sqlite", dataSource(from, ""))
	if err != nil {
		return err
	}
	err = checkOurs(ctx, source)
	if err == nil {
		err = checkPages(ctx, source)
	}
	if err == nil {
		err = copyTo(ctx, source, next)
	}
	return errors.Join(err, source.Close())
}

// makeReady prepares a copy for the server. The copy is on disk when makeReady returns.
func makeReady(ctx context.Context, next string, last, lastRecord int64) error {
	db, err := sql.Open("sqlite", dataSource(next, "_pragma=synchronous(FULL)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	err = migrate(ctx, db)
	for _, statement := range []struct {
		text      string
		arguments []any
	}{
		{"UPDATE counter SET floor = max((" + lastRevision + "), ?) + ?", []any{last, revisionGap}},
		// As for revisions: a copy of the audit log in a file may have records from after the backup.
		{"INSERT INTO sqlite_sequence (name, seq) SELECT 'audit', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'audit')", nil},
		{"UPDATE sqlite_sequence SET seq = max(seq, ?) + ? WHERE name = 'audit'", []any{lastRecord, revisionGap}},
		{"PRAGMA journal_mode = WAL", nil},
	} {
		if err == nil {
			_, err = db.ExecContext(ctx, statement.text, statement.arguments...)
		}
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	file, err := os.OpenFile(next, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// checkPages lets SQLite read every page.
func checkPages(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damagedPages(verdict)
	}
	return nil
}

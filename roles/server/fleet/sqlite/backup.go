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

// ErrExists tells that a backup would take the place of another file.
var ErrExists = errors.New("there is a file of this name already")

// revisionGap is how many revisions a restored database leaves out beyond the last one that is known: those that were
// drawn after the backup was made, and that devices may have seen, must not come again with another meaning.
const revisionGap = 1000

// Backup writes a copy of the database at path, as of one moment, to a new file, and returns when that is on disk. The
// server may be running, and goes on. What it acknowledged before is in the copy.
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
	// A link, unlike a renaming, takes nobody's place.
	if err := os.Link(to+".new", to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w; name another", ErrExists)
		}
		return errors.Join(err, os.Remove(to+".new"))
	}
	return errors.Join(os.Remove(to+".new"), syncDirectory(to))
}

// copyTo writes a copy of a database, on disk when it returns.
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

// checkOurs refuses what is not a database of ours, or from the future.
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

// backupRemedy ends an error about a file that is to be restored, which is nobody's database.
const backupRemedy = "name a file that aspects-poc server backup has made; nothing was changed"

// Restore puts a backup in the place of the database at path, which no server may be using (ErrInUse). The backup is
// checked from end to end first. What was there is kept beside it: previous is its name, the path with ".previous" at its
// end, and a number where there is one already; "" where nothing was there. A crash at any moment leaves the one or the
// other.
//
// Revisions go on well beyond the last one of both: devices may have seen some that the backup does not know.
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

// setAside gives the present database a second name, whole, which no file has, and returns its last revision and its
// last record of the audit log. One that cannot be opened is set aside as it is: that is what backups are for.
func setAside(ctx context.Context, path string) (previous string, last, lastRecord int64, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", 0, 0, nil
	}
	if db, err := sql.Open("sqlite", dataSource(path, "")); err == nil {
		db.SetMaxOpenConns(1)
		// Into the file with the log: the last to close it folds it in.
		err = db.QueryRowContext(ctx, lastRevision).Scan(&last)
		_ = db.QueryRowContext(ctx, lastAudit).Scan(&lastRecord) // an older version has none
		if closed := db.Close(); err != nil || closed != nil {
			last = 0
		}
	}
	previous, err = secondName(path)
	if err != nil {
		return "", 0, 0, err
	}
	for _, rest := range []string{"-wal", "-shm"} {
		// Left where it could not be folded in. It must not be taken for the new file's.
		if err := os.Rename(path+rest, previous+rest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", 0, 0, err
		}
	}
	return previous, last, lastRecord, nil
}

// secondName links a file to the first of its names for what was there before that is free.
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

// makeReady brings a copy to where a server can take it, on disk when it returns.
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
		// As with revisions: a copy of the audit log in a file may have records that were made since the backup.
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

// checkPages has SQLite look at every page.
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

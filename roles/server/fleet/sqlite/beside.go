package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet/rows"
)

// OpenTokens opens only the tokens of the file at path. A server may be using the file meanwhile, because SQLite lets
// one process write at a time. A missing file, or one of an older version, is first made or updated, for which
// OpenTokens locks the file for a moment as Open does. The caller calls release.
func OpenTokens(ctx context.Context, path string) (_ access.Store, release func() error, err error) {
	store, release, err := besideServer(ctx, path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot open the tokens in %q: %w", path, explain(err))
	}
	return store, release, nil
}

func besideServer(ctx context.Context, path string) (_ access.Store, release func() error, err error) {
	path = realPath(path)
	current, err := isCurrent(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	if !current {
		store, err := open(ctx, path)
		if errors.Is(err, ErrInUse) {
			err = fmt.Errorf("%w, and is of another version than this program; use that one, or stop the server", err)
		}
		if err != nil {
			return nil, nil, err
		}
		if err := store.Close(); err != nil {
			return nil, nil, err
		}
	}
	db, err := sql.Open("sqlite", dataSource(path, "_pragma=synchronous(FULL)"))
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	fail := func(act string, err error) error {
		if err == nil || rows.Refusal(err) {
			return err
		}
		return fmt.Errorf("cannot %s %q: %w", act, path, explain(err))
	}
	return tokens{
		read: func(_ context.Context, act string, do func(querier) error) error { return fail(act, do(db)) },
		write: func(ctx context.Context, act string, do func(*sql.Conn) error) error {
			err := fail(act, transact(ctx, db, recorded(ctx, do)))
			if err == nil {
				audit.From(ctx).Committed()
			}
			return err
		},
	}, db.Close, nil
}

// OpenBeside opens the file at path beside a server that may be using it. The caller must change only named secrets;
// the server reads such a change within a second. A missing file, or one of an older version, is opened as by Open.
func OpenBeside(ctx context.Context, path string) (*Store, error) {
	path = realPath(path)
	current, err := isCurrent(ctx, path)
	if err == nil && !current {
		return Open(ctx, path)
	}
	var store *Store
	if err == nil {
		store, err = openLocked(ctx, path, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet's state in %q: %w", path, explain(err))
	}
	return store, nil
}

// isCurrent reports whether the file exists, is ours, and has this program's version.
func isCurrent(ctx context.Context, path string) (bool, error) {
	if _, err := os.Lstat(path); err != nil {
		return false, nil // Open handles the error
	}
	if err := checkFile(path, damageRemedy); err != nil {
		return false, err
	}
	db, err := sql.Open("sqlite", dataSource(path, "_pragma=query_only(1)"))
	if err != nil {
		return false, err
	}
	id, err := pragma(ctx, db, "application_id")
	version := int64(0)
	if err == nil {
		version, err = pragma(ctx, db, "user_version")
	}
	return id == applicationID && version == int64(len(migrations)), errors.Join(err, db.Close())
}

// transact runs do in a transaction.
func transact(ctx context.Context, db *sql.DB, do func(*sql.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := do(conn); err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the first error is returned
		return err
	}
	_, err = conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	return err
}

// Package sqlitetest opens database files for tests. Its main function is Open. With the race detector, making the
// tables takes longer than most tests. So each new file is a copy of the first one.
package sqlitetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"aspects-poc/roles/server/fleet/sqlite"
)

// empty is the content of a file without devices.
var empty = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "sqlitetest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "server.db")
	store, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Open is sqlite.Open with a copied file. Do not use it for tests of what SQLite does with a new file.
func Open(ctx context.Context, path string) (*sqlite.Store, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		content, err := empty()
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return sqlite.Open(ctx, path)
}

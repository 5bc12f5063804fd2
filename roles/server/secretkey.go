package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
	"aspects-poc/roles/server/fleet/seal"
)

// A keyFile is the file with the keys that seal secrets.
type keyFile struct {
	path  string
	given bool // an operator has named the file and makes it
	log   *slog.Logger
}

// keyFileOf returns the configured file, or else the one beside the embedded database. With a PostgreSQL the default is
// at the same place.
func keyFileOf(config Config) keyFile {
	if config.SecretKeyFile != "" {
		return keyFile{path: config.SecretKeyFile, given: true, log: config.Log}
	}
	return keyFile{path: config.State + ".key", log: config.Log}
}

// keys implements the Keys of fleet.Options.
func (f keyFile) keys(fresh bool) (*seal.Ring, error) {
	ring, err := f.read()
	if fresh && !f.given && errors.Is(err, fs.ErrNotExist) {
		return f.create()
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; put the file back from your copy of it, or copy it from the server that made it "+
			"(if it is lost: aspects-poc server secret rotate --lost)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the key of the secrets in the database (--secret-key-file): %w", err)
	}
	return ring, nil
}

func (f keyFile) read() (*seal.Ring, error) {
	text, err := regular.Read(f.path)
	if err != nil {
		return nil, err
	}
	ring, err := seal.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", f.path, err)
	}
	return ring, nil
}

// create makes the file, which only its owner can read.
func (f keyFile) create() (*seal.Ring, error) {
	fail := func(err error) error {
		return fmt.Errorf("cannot make a key for the secrets in the database: %w; name a file with --secret-key-file", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return nil, fail(err)
	}
	ring := seal.Random()
	err := durable.Create(f.path, ring.Text(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return f.read() // another process was first
	}
	if err != nil {
		return nil, fail(err)
	}
	f.log.Info("made the key of the secrets in the database; keep a copy of it, apart from the database's", "file", f.path)
	return ring, nil
}

// rotate adds a new key in front of the keys in the file. ring has those keys; nil for none.
func (f keyFile) rotate(ring *seal.Ring) (*seal.Ring, error) {
	path := f.path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	rotated := seal.Random()
	if ring != nil {
		rotated = ring.Rotated()
	}
	if err := durable.Write(path, rotated.Text(), 0o600); err != nil {
		return nil, fmt.Errorf("%w; nothing was changed", err)
	}
	left, err := durable.Leftovers(path) // files with former keys, of processes that were killed
	for _, file := range left {
		err = errors.Join(err, durable.Remove(file))
	}
	if err != nil {
		f.log.Warn("cannot remove copies of the key file that a killed process has left", "error", err)
	}
	return rotated, nil
}

// explain adds to an error of opening a fleet what the operator can do.
func (f keyFile) explain(err error) error {
	if errors.Is(err, seal.ErrOtherKey) {
		return fmt.Errorf("%w: %s is not its key file; put the right one there from your copy, or copy it from the server that made it "+
			"(if it is lost: aspects-poc server secret rotate --lost)", err, f.path)
	}
	return err
}

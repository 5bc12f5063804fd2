// Package state stores what must survive a restart of control, in one directory: the device's registrations
// (device.json), its key, the next key during a rotation, the journal of targets and the operators' keys. Its main type
// is Dir; Keeper writes the journal. Package target decides what the journal says.
package state

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"aspects-poc/internal/durable"

	"github.com/gofrs/flock"
)

// The files of a state directory.
const (
	deviceFile = "device.json"    // a Device
	keyFile    = "device-key.pem" // the private key, PKCS #8, mode 0600
	lockFile   = "device.lock"    // lock of the process that changes the other files
)

// The files about targets.
const (
	journalFile = "target.json" // a target.Journal, mode 0600
	journalLock = "target.lock" // lock of the process that applies targets
)

// LockRetry is the pause between two attempts to lock.
const LockRetry = 50 * time.Millisecond

// keyBits is the size of a new key.
const keyBits = 2048

// A Dir is a state directory. The first write creates it. It is safe for concurrent use, also by several processes:
// hold the lock from a read until the write that depends on it.
type Dir struct {
	Path string
	// NewKey makes a key; nil means a new RSA key. Tests set it, since making a key takes time.
	NewKey func() (*rsa.PrivateKey, error)
	// Replace writes a file; nil means durable.Write.
	Replace func(path string, content []byte, mode os.FileMode) error
}

// An Error is an error of the state directory. It distinguishes such an error from one of the server.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Lock locks the files of the directory for changes. The caller calls unlock. It returns an error if ctx ends first.
func (d *Dir) Lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return nil, fmt.Errorf("cannot store the device's state: %w", err)
	}
	lock := flock.New(filepath.Join(d.Path, lockFile), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, LockRetry); err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", lock.Path(), err)
	}
	return func() { lock.Close() }, nil // closing unlocks
}

// Tidy removes leftovers of killed processes. If another process holds the lock, the leftovers may be its own, and the
// next start removes them.
func (d *Dir) Tidy() error {
	return errors.Join(d.tidy(lockFile, deviceFile, keyFile, nextKeyFile), d.tidy(journalLock, journalFile, operatorsFile, offerFile))
}

func (d *Dir) tidy(lock string, files ...string) error {
	leftovers := func() ([]string, error) { return d.leftovers(files...) }
	if list, err := leftovers(); err != nil || len(list) == 0 {
		return err
	}
	return Tidy(filepath.Join(d.Path, lock), leftovers)
}

// TidyLocked is Tidy for the device's files. The caller holds their lock.
func (d *Dir) TidyLocked() error {
	list, err := d.leftovers(deviceFile, keyFile, nextKeyFile)
	for _, path := range list {
		err = errors.Join(err, durable.Remove(path))
	}
	return err
}

func (d *Dir) leftovers(files ...string) (list []string, err error) {
	for _, name := range files {
		found, err := durable.Leftovers(filepath.Join(d.Path, name))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// Tidy removes the leftovers of a file under its lock. It removes nothing if another process holds the lock.
func Tidy(lockPath string, leftovers func() ([]string, error)) error {
	lock := flock.New(lockPath, flock.SetPermissions(0o600))
	free, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", lockPath, err)
	}
	if !free {
		return nil
	}
	defer lock.Close() //nolint:errcheck // closing is all that is needed to unlock
	list, err := leftovers()
	for _, path := range list {
		err = errors.Join(err, durable.Remove(path))
	}
	return err
}

// Write replaces a file of the directory; see durable.Write.
func (d *Dir) Write(name string, content []byte) error {
	replace := d.Replace
	if replace == nil {
		replace = durable.Write
	}
	return replace(filepath.Join(d.Path, name), content, 0o600)
}

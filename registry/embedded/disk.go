package embedded

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is what a commit does to the file system, a method for each step that can fail: tests let each of them.
type disk interface {
	// Create makes a new file, which nobody else has.
	Create(path string, mode fs.FileMode) (handle, error)
	// Link gives a file a second name.
	Link(path, name string) error
	// Rename moves a file over another one.
	Rename(from, to string) error
	// Remove deletes a file; one that is not there is fine.
	Remove(path string) error
	// SyncDir waits until the names in a directory are on disk.
	SyncDir(path string) error
}

// handle is an open file of a disk.
type handle interface {
	io.WriteCloser
	Sync() error
	Stat() (os.FileInfo, error)
}

type realDisk struct{}

func (realDisk) Create(path string, mode fs.FileMode) (handle, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		// Of a writer that was killed: we hold the lock, so nobody is writing it now.
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	}
	if err != nil {
		return nil, err
	}
	// The umask may have taken bits away that the administrator had given to the file.
	if err := file.Chmod(mode); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	if err := inheritOwner(path); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, nil
}

func (realDisk) Link(path, name string) error { return os.Link(path, name) }
func (realDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (realDisk) Remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (realDisk) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// inheritOwner gives what root makes to the owner of the directory it is in, so that one `sudo` does not lock a user
// out of a registry of their own.
func inheritOwner(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner, ok := dir.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// makeDir makes a directory and its parents for this user alone, and waits until their names are on disk: a file is
// not durable in a directory that is not.
func makeDir(path string, d disk) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDir(parent, d); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

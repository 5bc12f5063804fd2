package embedded

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// disk is the access of a commit to the file system, with one method for each step that can fail. Tests make them
// fail.
type disk interface {
	// Create makes a new file and replaces a leftover one.
	Create(path string, mode fs.FileMode) (handle, error)
	// Link gives a file a second name.
	Link(path, name string) error
	// Rename moves a file, replacing the target.
	Rename(from, to string) error
	// Remove deletes a file. A missing file is no error.
	Remove(path string) error
	// SyncDir waits until the names in a folder are on disk.
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
		// A killed writer left it. We hold the lock, so nobody is writing to it.
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	}
	if err != nil {
		return nil, err
	}
	// The umask may have removed bits that the administrator gave to the file.
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

// inheritOwner gives a file made by root to the owner of its folder, so that one `sudo` does not lock a user out of
// their own registry.
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

// makeDir makes a folder and its parents with mode 0700, and waits until their names are on disk. A file in a folder
// that is not on disk is not durable.
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

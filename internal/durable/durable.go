// Package durable writes files that survive a power cut. Its main function is Write: when it returns, the new content is on disk. At
// every moment the file has the whole old content or the whole new one.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Write replaces the file at path. Its folder must exist.
func Write(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, os.Rename)
}

// Create makes the file at path. Its folder must exist. If there is a file already, it stays, and the error is
// fs.ErrExist.
func Create(path string, content []byte, mode os.FileMode) error {
	return write(path, content, mode, os.Link) // unlike a rename, a link replaces no file
}

// write writes the content to a file beside path, and moves that file to path with place.
func write(path string, content []byte, mode os.FileMode, place func(from, to string) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone already after a renaming
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Leftovers returns the files that killed Writes have left beside path. The file of a running Write is among them.
func Leftovers(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for leftovers: %w", err)
	}
	var list []string
	for _, entry := range entries {
		random, found := strings.CutPrefix(entry.Name(), "."+filepath.Base(path)+".")
		if found && random != "" && strings.Trim(random, "0123456789") == "" && entry.Type().IsRegular() {
			list = append(list, filepath.Join(filepath.Dir(path), entry.Name()))
		}
	}
	return list, nil
}

// Remove removes the file at path. A missing file is no error.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	open, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(open.Sync(), open.Close())
}

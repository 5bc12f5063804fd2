package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Plan is a project to write.
type Plan interface {
	// Files returns the contents of the project's files, by their names with slashes.
	Files() (map[string][]byte, error)
}

var _, _ Plan = Project{}, (*Wrapped)(nil)

// executable reports whether a file of a project gets permission to be executed.
func executable(name string) bool {
	return strings.Contains(name, "/hooks/") || strings.Contains(name, "/bin/")
}

// Write writes a project into a folder and returns the names of its files, sorted. It creates the folder if necessary. If one
// of the files exists, it writes nothing and returns an error that wraps fs.ErrExist.
func Write(dir string, p Plan) (names []string, err error) {
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			return nil, fmt.Errorf("cannot begin a project in %s: %s %w", dir, name, fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
	}
	var written []string
	defer func() {
		if err != nil {
			for _, file := range written {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
		mode := os.FileMode(0o644)
		if executable(name) {
			mode = 0o755
		}
		if err := create(file, files[name], mode); err != nil {
			return nil, fmt.Errorf("cannot begin a project: %w", err)
		}
		written = append(written, file)
	}
	return names, nil
}

func create(name string, text []byte, mode os.FileMode) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

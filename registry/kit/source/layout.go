package source

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layOut fills the folder that stands for the built snap: links to what parts with the plugin dump copy, and the hooks in own.
// What is there already stays as it is, since a hook may be running from it.
func (s *Source) layOut(dir, own string, m *metadata) error {
	files := map[string]string{} // path in the snap -> where it is
	for _, name := range slices.Sorted(maps.Keys(m.Parts)) {
		part := m.Parts[name]
		switch {
		case part.Plugin == "nil" && part.Source == "":
		case part.Plugin == "dump" && !strings.Contains(part.Source, ":") && len(part.Organize) == 0:
			if err := collect(filepath.Join(dir, part.Source), files); err != nil {
				return fmt.Errorf("part %q: %w", name, err)
			}
		default:
			s.Warnings = append(s.Warnings, fmt.Sprintf("part %s (plugin %s) is not built: what hooks and services need of it "+
				"is not in $SNAP; give the unpacked snap (snapcraft's prime) instead", name, part.Plugin))
		}
	}
	for _, name := range s.Snap.Hooks {
		files[filepath.Join("meta", "hooks", name)] = filepath.Join(own, name)
	}
	if err := os.MkdirAll(filepath.Join(s.Snap.Dir, "meta", "hooks"), 0o755); err != nil {
		return err
	}
	for _, folder := range []string{".", filepath.Join("meta", "hooks")} {
		if err := drop(s.Snap.Dir, folder, files); err != nil {
			return err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := place(files[path], filepath.Join(s.Snap.Dir, path)); err != nil {
			return err
		}
	}
	return nil
}

// collect lists what is in a folder of the source. The first part that has a name keeps it.
func collect(from string, files map[string]string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if slices.Contains([]string{"snap", "snapcraft.yaml", "meta", ".git"}, name) || files[name] != "" {
			continue
		}
		files[name] = filepath.Join(from, name)
	}
	return nil
}

// drop removes what a folder of the snap has and the source has no more.
func drop(root, folder string, files map[string]string) error {
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if path == "meta" || files[path] != "" {
			continue
		}
		if err := os.Remove(filepath.Join(root, path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// place links a file into the snap. A hook that is not executable, which snapcraft would make so, is copied.
func place(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if filepath.Base(filepath.Dir(to)) != "hooks" || info.Mode()&0o111 != 0 {
		if target, err := os.Readlink(to); err == nil && target == from {
			return nil
		}
		return replace(to, func(path string) error { return os.Symlink(from, path) })
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if known, err := os.ReadFile(to); err == nil && bytes.Equal(known, text) {
		if info, err := os.Lstat(to); err == nil && info.Mode().IsRegular() {
			return nil
		}
	}
	return replace(to, func(path string) error { return os.WriteFile(path, text, 0o755) })
}

// replace gives a path to what make makes, at one moment.
func replace(path string, make func(string) error) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := make(fresh); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

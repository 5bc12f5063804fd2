package source

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layOut fills the folder that stands for the built snap: links to what parts with the plugin dump copy, and the hooks.
func (s *Source) layOut(dir string, m *metadata) error {
	if err := os.RemoveAll(s.Snap.Dir); err != nil {
		return err
	}
	hooks := filepath.Join(s.Snap.Dir, "meta", "hooks")
	if err := os.MkdirAll(hooks, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Parts)) {
		part := m.Parts[name]
		source := filepath.Join(dir, part.Source)
		switch {
		case part.Plugin == "nil" && part.Source == "":
		case part.Plugin == "dump" && !strings.Contains(part.Source, ":") && len(part.Organize) == 0:
			if err := s.link(source); err != nil {
				return fmt.Errorf("part %q: %w", name, err)
			}
		default:
			s.Warnings = append(s.Warnings, fmt.Sprintf("part %s (plugin %s) is not built: what its hooks and services need of "+
				"it is not in $SNAP; give the unpacked snap (prime) instead", name, part.Plugin))
		}
	}
	own := filepath.Join(dir, "snap", "hooks")
	if err := s.hooks(own); err != nil {
		return err
	}
	for _, name := range s.Snap.Hooks {
		if err := place(filepath.Join(own, name), filepath.Join(hooks, name)); err != nil {
			return fmt.Errorf("hook %s: %w", name, err)
		}
	}
	return nil
}

// link links what is in a folder into the snap, folder by folder where something is there already.
func (s *Source) link(from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == "snap" || name == "snapcraft.yaml" || name == "meta" || name == ".git" {
			continue
		}
		err := os.Symlink(filepath.Join(from, name), filepath.Join(s.Snap.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// place links a hook. One that is not executable yet, as snapcraft makes it, is copied.
func place(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.Mode()&0o111 != 0 {
		return os.Symlink(from, to)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

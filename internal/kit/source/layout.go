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

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/snapfile"
)

// parts returns the files that parts with the plugin dump copy. It adds warnings about the parts that do more.
func (s *Source) parts(dir string, top *document.Node) (*snapfile.Parts, error) {
	parts, err := snapfile.ReadParts(dir, top)
	if err != nil {
		return nil, err
	}
	s.Watch = append(s.Watch, parts.Folders...)
	for _, name := range parts.Packages {
		s.Warnings = append(s.Warnings, fmt.Sprintf("the packages of part %s are not in $SNAP: this machine's programs take their place, "+
			"where it has them", name))
	}
	for _, name := range parts.Unbuilt {
		s.Warnings = append(s.Warnings, fmt.Sprintf("part %s (plugin %s) is not built: what hooks, apps and services need "+
			"of it is not in $SNAP; give the unpacked snap (snapcraft's prime) instead", name, top.Get("parts").Get(name).Get("plugin").String()))
	}
	return parts, nil
}

// layOut fills the folder that stands for the built snap with links to files. It does not replace a link that is right already,
// since a hook may be running from it.
func (s *Source) layOut(parts *snapfile.Parts) error {
	files := parts.Files
	for _, name := range s.Snap.Hooks {
		if files[snapfile.HookFile(name)] != "" {
			continue
		}
		files[snapfile.HookFile(name)] = stub
		if !parts.Complete {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is declared and has no file here: it does nothing, unless a part "+
				"that is not built has it", name))
		} else {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is declared and has no file: snapcraft makes an empty one", name))
		}
	}
	if err := os.MkdirAll(filepath.Join(s.Snap.Dir, "meta", "hooks"), 0o755); err != nil {
		return err
	}
	if err := removeStale(s.Snap.Dir, "", files); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(s.Snap.Dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := link(files[path], to, parts.Executable[path]); err != nil {
			return err
		}
	}
	return nil
}

// stub takes the place of the path of a hook that does nothing; stubText is the text of such a hook.
const (
	stub     = "\x00"
	stubText = "#!/bin/sh\n"
)

// removeStale removes the files of a folder of the snap that the source no longer has.
func removeStale(root, folder string, files map[string]string) error {
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if files[path] != "" {
			if entry.IsDir() { // a link will replace it
				if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
					return err
				}
			}
			continue
		}
		if entry.IsDir() {
			if err := removeStale(root, path, files); err != nil {
				return err
			}
			if path == "meta" || path == snapfile.HookFile("") {
				continue
			}
		}
		if err := os.Remove(filepath.Join(root, path)); err != nil && !errors.Is(err, fs.ErrNotExist) && !entry.IsDir() {
			return err // a folder that is not empty stays
		}
	}
	return nil
}

// link links a file into the snap. If a hook, or a file for which executable is wanted, is not executable, link makes an executable
// copy instead, as snapcraft does.
func link(from, to string, wanted bool) error {
	text := []byte(stubText)
	if from != stub {
		executable := true
		if wanted || filepath.Base(filepath.Dir(to)) == "hooks" {
			info, err := os.Stat(from)
			if err != nil {
				return err
			}
			executable = info.Mode()&0o111 != 0
		}
		var err error
		if executable {
			if target, err := os.Readlink(to); err == nil && target == from {
				return nil
			}
			return replace(to, func(path string) error { return os.Symlink(from, path) })
		}
		if text, err = os.ReadFile(from); err != nil {
			return err
		}
	}
	if known, err := os.ReadFile(to); err == nil && bytes.Equal(known, text) {
		if info, err := os.Lstat(to); err == nil && info.Mode().IsRegular() {
			return nil
		}
	}
	return replace(to, func(path string) error { return os.WriteFile(path, text, 0o755) })
}

// replace replaces the file at a path atomically by the one that make makes.
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

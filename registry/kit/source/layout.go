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

	"go.yaml.in/yaml/v3"
)

// A part is what a snap is built of. Sources that depend on the architecture are lists, and read as such.
type part struct {
	Plugin   string               `yaml:"plugin"`
	Source   yaml.Node            `yaml:"source"`
	Organize map[string]string    `yaml:"organize"`
	Others   map[string]yaml.Node `yaml:",inline"`
}

// dumped is the folder that the part copies, "" if it does something else.
func (p part) dumped(dir string) string {
	if p.Plugin != "dump" || p.Source.Kind > yaml.ScalarNode && p.Source.Kind != 0 || strings.Contains(p.Source.Value, ":") {
		return ""
	}
	return filepath.Join(dir, p.Source.Value)
}

// scripted tells whether the part has steps of its own instead of those of its plugin.
func (p part) scripted() bool {
	for key := range p.Others {
		if strings.HasPrefix(key, "override-") {
			return true
		}
	}
	return false
}

// packages tells whether the part brings what others have packed.
func (p part) packages() bool {
	return p.Others["stage-packages"].Kind != 0 || p.Others["stage-snaps"].Kind != 0
}

// parts lists what parts with the plugin dump copy, by its path in the snap. complete says that there are no others.
func (s *Source) parts(dir string, m *metadata) (files map[string]string, complete bool, err error) {
	files, complete = map[string]string{}, true
	for _, name := range slices.Sorted(maps.Keys(m.Parts)) {
		part := m.Parts[name]
		from := part.dumped(dir)
		if part.packages() {
			complete = false
			s.Warnings = append(s.Warnings, fmt.Sprintf("the packages of part %s are not in $SNAP: this machine's programs take their place, "+
				"where it has them", name))
		}
		if part.Plugin == "nil" && !part.scripted() {
			continue
		}
		if from != "" {
			if err := s.dump(from, part.Organize, files); err != nil {
				return nil, false, fmt.Errorf("part %q: %w", name, err)
			}
		}
		if from == "" || part.scripted() {
			complete = false
			s.Warnings = append(s.Warnings, fmt.Sprintf("part %s (plugin %s) is not built: what hooks, apps and services need "+
				"of it is not in $SNAP; give the unpacked snap (snapcraft's prime) instead", name, part.Plugin))
		}
	}
	for _, app := range m.Apps {
		complete = complete && len(app.Extensions) == 0 // which bring parts
	}
	return files, complete, s.split(files)
}

// split replaces folders in which other parts have files, too, by the files in them.
func (s *Source) split(files map[string]string) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for above := filepath.Dir(path); above != "."; above = filepath.Dir(above) {
			from := files[above]
			if from == "" {
				continue
			}
			inside, err := s.every(from, map[string]string{above: from})
			if err != nil {
				return err
			}
			delete(files, above)
			for name, file := range inside {
				if name = filepath.Join(above, name); files[name] == "" {
					files[name] = file
				}
			}
		}
	}
	return nil
}

// notDumped are files of a project that are not for its snap.
var notDumped = []string{"snap", "snapcraft.yaml", ".snapcraft.yaml", "meta", ".git"}

// dump lists what is in a folder of the source, under other names where organize wants that. The first part that has a
// name keeps it.
func (s *Source) dump(from string, organize map[string]string, files map[string]string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	found := map[string]string{}
	for _, entry := range entries {
		if !slices.Contains(notDumped, entry.Name()) {
			found[entry.Name()] = filepath.Join(from, entry.Name())
		}
	}
	if len(organize) > 0 {
		if found, err = s.every(from, found); err != nil {
			return err
		}
		if err := rename(found, organize); err != nil {
			return err
		}
	}
	for name, path := range found {
		// snapcraft takes hooks from there.
		if hook, is := strings.CutPrefix(name, filepath.Join("snap", "hooks")+"/"); is {
			name = hookFile(hook)
		}
		if files[name] == "" {
			files[name] = path
		}
	}
	return nil
}

// every replaces folders by the files in them. Folders have to be looked at again when something in them changes.
func (s *Source) every(root string, found map[string]string) (map[string]string, error) {
	all := map[string]string{}
	for _, path := range found {
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				s.Watch = append(s.Watch, path)
				return nil
			}
			name, err := filepath.Rel(root, path)
			all[name] = path
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// rename does what organize says: a file, or all below a folder, gets another name; what a pattern finds goes into a folder.
// Names without a pattern come first, as for snapcraft.
func rename(files map[string]string, organize map[string]string) error {
	keys := slices.SortedFunc(maps.Keys(organize), func(a, b string) int {
		if x, y := strings.ContainsAny(a, "*?["), strings.ContainsAny(b, "*?["); x != y {
			return map[bool]int{false: -1, true: 1}[x]
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys {
		to := organize[key]
		if strings.HasPrefix(to, "(") || !filepath.IsLocal(filepath.Clean(to)) {
			return fmt.Errorf("organize: %q is not a place in the snap", to)
		}
		pattern, into := strings.ContainsAny(key, "*?["), strings.HasSuffix(to, "/")
		moved := map[string]string{}
		for name, path := range files {
			target, matches := "", false
			switch {
			case !pattern && name == filepath.Clean(key) && into:
				target, matches = filepath.Join(to, filepath.Base(name)), true
			case !pattern:
				var below string
				if below, matches = strings.CutPrefix(name+"/", filepath.Clean(key)+"/"); matches {
					target = filepath.Join(to, below)
				}
			default:
				target, matches = byPattern(key, name, to)
			}
			if matches {
				moved[target] = path
				delete(files, name)
			}
		}
		maps.Copy(files, moved)
	}
	return nil
}

// byPattern finds where a file goes of which a pattern matches the name, or that of a folder it is in.
func byPattern(pattern, name, to string) (string, bool) {
	words := strings.Split(name, "/")
	for i := range words {
		if matched, err := filepath.Match(filepath.Clean(pattern), filepath.Join(words[:i+1]...)); err == nil && matched {
			return filepath.Join(append([]string{to}, words[i:]...)...), true
		}
	}
	return "", false
}

// layOut fills the folder that stands for the built snap with links to files. What is there already stays as it is, since a
// hook may be running from it.
func (s *Source) layOut(files map[string]string, complete bool) error {
	for _, name := range s.Snap.Hooks {
		if files[hookFile(name)] != "" {
			continue
		}
		files[hookFile(name)] = stub
		if !complete {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is declared and has no file here: it does nothing, unless a part "+
				"that is not built has it", name))
		} else {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is declared and has no file: snapcraft makes one that does nothing", name))
		}
	}
	if err := os.MkdirAll(filepath.Join(s.Snap.Dir, "meta", "hooks"), 0o755); err != nil {
		return err
	}
	if err := drop(s.Snap.Dir, "", files); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		to := filepath.Join(s.Snap.Dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := place(files[path], to); err != nil {
			return err
		}
	}
	return nil
}

// stub stands, in the place of a file's path, for a hook that does nothing; stubText is that.
const (
	stub     = "\x00"
	stubText = "#!/bin/sh\n"
)

// drop removes what a folder of the snap has and the source has no more.
func drop(root, folder string, files map[string]string) error {
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if files[path] != "" {
			if entry.IsDir() { // a link now
				if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
					return err
				}
			}
			continue
		}
		if entry.IsDir() {
			if err := drop(root, path, files); err != nil {
				return err
			}
			if path == "meta" || path == hookFile("") {
				continue
			}
		}
		if err := os.Remove(filepath.Join(root, path)); err != nil && !errors.Is(err, fs.ErrNotExist) && !entry.IsDir() {
			return err // a folder with something in it stays
		}
	}
	return nil
}

// place links a file into the snap. A hook that is not executable, which snapcraft would make so, is copied.
func place(from, to string) error {
	text := []byte(stubText)
	if from != stub {
		executable := true
		if filepath.Base(filepath.Dir(to)) == "hooks" {
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

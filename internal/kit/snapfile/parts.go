package snapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
)

// Parts are the files of a snap that are known without building it: those that parts with the plugin dump copy.
type Parts struct {
	Files    map[string]string // path in the snap -> file or folder of the source
	Folders  []string          // folders that were read: their contents decide Files
	Complete bool              // the snap has no other files
	Unbuilt  []string          // parts that do more than copy
	Packages []string          // parts that add packages or other snaps

	Executable map[string]bool // paths in the snap that a part makes executable
}

// plain are the settings of a part that ReadParts reads, and those that do not change which files the snap has.
var plain = []string{"plugin", "source", "source-type", "source-subdir", "organize", "permissions", "after", "build-packages", "build-snaps", "build-environment",
	"disable-parallel", "parse-info"}

// ReadParts returns the files that parts copy from the folder of a project. top is the content of its snapcraft.yaml. It returns an
// error if a folder cannot be read, or snapcraft would refuse a setting.
func ReadParts(dir string, top *document.Node) (*Parts, error) {
	p := &Parts{Files: map[string]string{}, Executable: map[string]bool{}, Complete: true}
	parts := top.Get("parts")
	names := slices.Sorted(slices.Values(parts.Keys()))
	for _, name := range names {
		part := parts.Get(name)
		plugin := part.Get("plugin").String()
		if part.Get("stage-packages") != nil || part.Get("stage-snaps") != nil {
			p.Complete = false
			p.Packages = append(p.Packages, name)
		}
		scripted := false
		for _, key := range part.Keys() {
			scripted = scripted || strings.HasPrefix(key, "override-") || key == "overlay-script"
			p.Complete = p.Complete && slices.Contains(plain, key)
			for _, item := range part.Get(key).List() {
				p.Complete = p.Complete && !slices.ContainsFunc(item.Keys(), grammar)
			}
		}
		for _, other := range part.Get("after").List() {
			p.Complete = p.Complete && slices.Contains(names, other.String()) // otherwise an extension brings the part
		}
		if plugin == "nil" && !scripted {
			continue
		}
		from := Dumped(dir, part)
		if from != "" {
			if err := p.dump(dir, from, part); err != nil {
				return nil, fmt.Errorf("part %q: %w", name, err)
			}
		}
		if from == "" || scripted {
			p.Complete = false
			p.Unbuilt = append(p.Unbuilt, name)
		}
	}
	for _, name := range top.Get("apps").Keys() { // extensions bring parts
		p.Complete = p.Complete && len(top.Get("apps").Get(name).Get("extensions").List()) == 0
	}
	return p, p.split()
}

// projectDir matches the variable for the project's folder at the beginning of a source.
var projectDir = regexp.MustCompile(`^\$(?:\{(?:SNAP)?CRAFT_PROJECT_DIR\}|(?:SNAP)?CRAFT_PROJECT_DIR)(?:/|$)`)

// Dumped returns the folder that a part copies, or "" if the part does something else. dir is the project's folder.
func Dumped(dir string, part *document.Node) string {
	source := part.Get("source").String()
	if kind := part.Get("source-type").String(); part.Get("plugin").String() != "dump" || source == "" || kind != "" && kind != "local" {
		return ""
	}
	source = filepath.Join(projectDir.ReplaceAllString(source, "./"), part.Get("source-subdir").String())
	if strings.ContainsAny(source, ":$") || filepath.IsAbs(source) {
		return ""
	}
	from := filepath.Join(dir, source)
	if info, err := os.Stat(from); err == nil && !info.IsDir() {
		return "" // an archive
	}
	return from
}

// ownFiles are files of a project that no part copies as programs of the snap.
var ownFiles = []string{"snap", "snapcraft.yaml", ".snapcraft.yaml", "meta", ".git"}

// own reports whether a path is one of ownFiles or below one.
func own(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return slices.Contains(ownFiles, first)
}

// dump adds the files that a part copies from a folder of the source, with the names that its organize gives them. If several
// parts have a file, the first one counts.
func (p *Parts) dump(dir, from string, part *document.Node) error {
	organize := part.Get("organize")
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	renamed := len(organize.Keys()) > 0
	found := map[string]string{}
	for _, entry := range entries {
		if name := entry.Name(); name != ".git" && (renamed || !own(name)) {
			found[name] = filepath.Join(from, name)
		}
	}
	// A part may bring hooks in either folder. Hooks in snap/ of the project itself belong to no part.
	folders := []string{filepath.Join("snap", "hooks"), filepath.Join("meta", "hooks")}
	if from == filepath.Clean(dir) {
		folders = folders[1:]
	}
	if renamed {
		if found, err = p.every(from, found); err != nil {
			return err
		}
		before := maps.Clone(found)
		if err := p.rename(found, organize); err != nil {
			return err
		}
		maps.DeleteFunc(found, func(name, path string) bool {
			return own(name) && before[name] == path && !slices.Contains(folders, filepath.Dir(name))
		})
		folders = nil
	}
	for _, folder := range folders {
		hooks, err := os.ReadDir(filepath.Join(from, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, hook := range hooks {
			if !hook.IsDir() && !strings.HasPrefix(hook.Name(), ".") {
				found[filepath.Join(folder, hook.Name())] = filepath.Join(from, folder, hook.Name())
			}
		}
	}
	for name, path := range found {
		if hook, is := strings.CutPrefix(name, filepath.Join("snap", "hooks")+"/"); is {
			name = HookFile(hook)
		}
		if err := p.addAs(name, path, part.Get("permissions").List()); err != nil {
			return err
		}
	}
	return nil
}

// addAs is add with the permissions that a part sets.
func (p *Parts) addAs(name, path string, permissions []*document.Node) error {
	if len(permissions) == 0 {
		return p.add(name, path)
	}
	inside := map[string]string{".": path}
	if isFolder(path) {
		var err error
		if inside, err = p.every(path, map[string]string{"": path}); err != nil {
			return err
		}
	}
	for below, path := range inside {
		file := filepath.Join(name, below)
		if p.Files[file] == "" && p.executable(file, permissions) {
			p.Executable[file] = true
		}
		if err := p.add(file, path); err != nil {
			return err
		}
	}
	return nil
}

// executable reports whether permissions make a file executable. An asterisk in them also matches slashes.
func (p *Parts) executable(file string, permissions []*document.Node) bool {
	flat := func(path string) string { return strings.ReplaceAll(path, "/", "\x01") }
	made := false
	for _, permission := range permissions {
		mode := permission.Get("mode")
		pattern := "*"
		if path := permission.Get("path"); path != nil {
			pattern = path.Text
		}
		if matches, err := filepath.Match(flat(pattern), flat(file)); mode == nil || err != nil || !matches {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimPrefix(mode.Text, "0o"), 8, 32)
		made = bits&0o111 != 0
		p.Complete = p.Complete && err == nil && made // otherwise the snap may have the file without being able to run it
	}
	return made
}

// add adds a file or a folder at a path in the snap. If another part has a folder there, add merges the two.
func (p *Parts) add(name, path string) error {
	there := p.Files[name]
	switch {
	case there == "":
		p.Files[name] = path
		return nil
	case !isFolder(there) || !isFolder(path):
		return nil
	}
	delete(p.Files, name)
	for _, from := range []string{there, path} {
		inside, err := p.every(from, map[string]string{name: from})
		if err != nil {
			return err
		}
		for file, path := range inside {
			if file = filepath.Join(name, file); p.Files[file] == "" {
				p.Files[file] = path
			}
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// HookFile returns the path of a hook in a snap.
func HookFile(name string) string { return filepath.Join("meta", "hooks", name) }

// maxFiles is the largest number of files in a folder of the source.
const maxFiles = 200_000

// every replaces folders by the files in them, with names relative to root. It records the folders in Folders.
func (p *Parts) every(root string, found map[string]string) (map[string]string, error) {
	all := map[string]string{}
	for _, path := range found {
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				p.Folders = append(p.Folders, path)
				return nil
			}
			name, err := filepath.Rel(root, path)
			all[name] = path
			if len(all) > maxFiles {
				return fmt.Errorf("%s has too many files", root)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// grammar reports whether a key selects an architecture, such as "on arm64" or "to amd64".
func grammar(key string) bool {
	return strings.HasPrefix(key, "on ") || strings.HasPrefix(key, "to ") || key == "else" || strings.HasPrefix(key, "else ")
}

// rename renames files as organize says. A key is a file, a folder, which is renamed with all files below it, or a pattern, whose
// matches are moved into a folder. Like snapcraft, rename obeys keys without a pattern first.
func (p *Parts) rename(files map[string]string, organize *document.Node) error {
	if slices.ContainsFunc(organize.Keys(), grammar) {
		p.Complete = false
		return nil
	}
	keys := slices.SortedFunc(slices.Values(organize.Keys()), func(a, b string) int {
		if x, y := strings.ContainsAny(a, "*?["), strings.ContainsAny(b, "*?["); x != y {
			return map[bool]int{false: -1, true: 1}[x]
		}
		return strings.Compare(a, b)
	})
	for _, key := range keys {
		to := inSnap(organize.Get(key).String())
		key = inSnap(key)
		if strings.Contains(key, "**") || strings.HasPrefix(key, "(") {
			p.Complete = false // a pattern for nested folders, or files of another partition
			continue
		}
		elsewhere := strings.HasPrefix(to, "(") // such as a component
		if !filepath.IsLocal(filepath.Clean(to)) {
			return fmt.Errorf("organize: %q is not a place in the snap", to)
		}
		pattern, into := strings.ContainsAny(key, "*?["), to == "" || strings.HasSuffix(to, "/")
		for name := range files { // the target is a folder if it has files
			into = into || strings.HasPrefix(name, filepath.Clean(to)+"/")
		}
		if pattern && !into && !elsewhere {
			p.Complete = false // if the pattern matches one file only, to is its new name
		}
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
				if !elsewhere {
					moved[target] = path
				}
				delete(files, name)
			}
		}
		maps.Copy(files, moved)
	}
	return nil
}

// inSnap returns a path in organize relative to the snap: without "(default)" and leading slashes.
func inSnap(path string) string {
	path, _ = strings.CutPrefix(strings.TrimLeft(path, "/"), "(default)")
	return strings.TrimLeft(path, "/")
}

// byPattern returns where a file is moved if a pattern matches its name, or that of a folder around it.
func byPattern(pattern, name, to string) (string, bool) {
	words := strings.Split(name, "/")
	for i := range words {
		if matched, err := filepath.Match(filepath.Clean(pattern), filepath.Join(words[:i+1]...)); err == nil && matched {
			return filepath.Join(append([]string{to}, words[i:]...)...), true
		}
	}
	return "", false
}

// split replaces each folder by the files in it if another part has files below the same path.
func (p *Parts) split() error {
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		for above := filepath.Dir(path); above != "."; above = filepath.Dir(above) {
			from := p.Files[above]
			if from == "" {
				continue
			}
			inside, err := p.every(from, map[string]string{above: from})
			if err != nil {
				return err
			}
			delete(p.Files, above)
			for name, file := range inside {
				if name = filepath.Join(above, name); p.Files[name] == "" {
					p.Files[name] = file
				}
			}
		}
	}
	return nil
}

var errOwn = errors.New("a part that copies the project has it, too")

// Lstat returns the information about the file at a path in the snap. The error is fs.ErrNotExist if no part copies such a file.
func (p *Parts) Lstat(path string) (fs.FileInfo, error) {
	if own(path) {
		return nil, errOwn
	}
	for at := path; at != "."; at = filepath.Dir(at) {
		if from := p.Files[at]; from != "" {
			info, err := os.Lstat(filepath.Join(from, strings.TrimPrefix(path, at)))
			if err == nil && p.Executable[path] {
				return executable{info}, nil
			}
			return info, err
		}
	}
	for name, from := range p.Files {
		if strings.HasPrefix(name, path+"/") {
			return os.Lstat(filepath.Dir(from))
		}
	}
	return nil, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
}

// An executable is the information about a file that a part makes executable.
type executable struct{ fs.FileInfo }

func (e executable) Mode() fs.FileMode { return e.FileInfo.Mode() | 0o555 }

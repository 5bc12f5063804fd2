package lint

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/internal/nearest"
)

// A Snap is a snap as source or unpacked: its file, its scripts, and the facts about its parts that the rules need.
type Snap struct {
	*snapfile.Snap
	Table   *snapfile.Table // table of hooks that registry new wrote, or nil
	scripts []script        // its hooks and those that parts install, sorted by name

	built   bool // a build may add hooks
	open    bool // extensions may add plugs
	faults  []snapfile.Fault
	strange []strange

	read func(name string) ([]byte, error)      // reads a file
	base string                                 // "" if the snap may not see the programs of its base
	file func(path string) (fs.FileInfo, error) // returns a file of the snap; nil if not all files are known
}

// A strange is a key that is probably misspelt.
type strange struct {
	key, meant string
	at         document.Position
}

// A script is a hook with its text.
type script struct {
	snapfile.Hook
	text []byte       // nil if the hook has no file, or a binary one
	asks []calls.Call // its calls of snapctl
}

// maxHook is the size of the largest script that is checked, in bytes.
const maxHook = 1 << 20

// ReadSnap reads a snap's file, as snapfile.Read does, and its scripts. It returns the errors of snapfile.Read, and those of
// reading a script that exists.
func ReadSnap(name string) (*Snap, error) { return ReadSnapWith(name, os.ReadFile) }

// ReadSnapWith is ReadSnap with a function that returns the text of a file, such as one that an editor has not saved yet.
// It takes the names of files from the disk.
func ReadSnapWith(name string, read func(name string) ([]byte, error)) (*Snap, error) {
	found, err := snapfile.ReadWith(name, read)
	if err != nil {
		return nil, err
	}
	snap := &Snap{Snap: found, Table: snapfile.ReadTable(found.File, read), read: read}
	top := found.Top
	snap.readKeys(top)
	if top.Get("layout") == nil && top.Get("confinement").String() != "classic" {
		snap.base = top.Get("base").String()
	}
	for _, hook := range found.Hooks {
		s := script{Hook: hook}
		if hook.File != found.File {
			if err := s.read(read); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		snap.scripts = append(snap.scripts, s)
	}
	snap.readParts(top)
	for i := range snap.scripts {
		hook := &snap.scripts[i]
		hook.asks = calls.Find(hook.Name, hook.text)
	}
	return snap, nil
}

// Keys of a snap's file. readKeys reports keys that resemble topKeys, or appKeys in apps and hooks. otherKeys are valid and
// resemble those: they are not reported.
var (
	topKeys   = []string{"plugs", "hooks", "apps", "parts", "environment"}
	appKeys   = []string{"plugs", "command", "command-chain", "environment", "daemon"}
	otherKeys = []string{"slots", "base", "type", "layout", "layouts", "links", "title", "icon", "lint", "epoch", "name", "sockets", "aliases", "timer",
		"after", "before", "daemon-scope", "completer", "reload-command", "stop-command", "post-stop-command", "desktop", "common-id", "bus-name"}
)

func entriesOf(n *document.Node) []document.Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

// readKeys finds misspelt keys, and apps with extensions, which may add plugs.
func (s *Snap) readKeys(top *document.Node) {
	look := func(of *document.Node, wanted []string) {
		for _, entry := range entriesOf(of) {
			if slices.Contains(wanted, entry.Key) || slices.Contains(otherKeys, entry.Key) || strings.HasPrefix(entry.Key, "x-") {
				continue
			}
			if near := nearest.Names(entry.Key, absent(of, wanted)); len(near) == 1 {
				s.strange = append(s.strange, strange{entry.Key, near[0], entry.KeyPos})
			}
		}
	}
	look(top, topKeys)
	for _, section := range []string{"apps", "hooks"} {
		for _, name := range top.Get(section).Keys() {
			entry := top.Get(section).Get(name)
			look(entry, appKeys)
			s.open = s.open || len(entry.Get("extensions").List()) > 0
		}
	}
}

// readParts finds hooks that parts install, and programs that no part installs. If not all files of the parts can be known,
// it sets s.built if a part may install hooks: its scripts name hooks, its source has a folder of hooks, or a build system
// such as make installs its files.
func (s *Snap) readParts(top *document.Node) {
	root := snapfile.Root(s.File)
	if snapfile.Built(s.File) {
		if filepath.Base(filepath.Dir(s.File)) == "meta" {
			s.file = func(path string) (fs.FileInfo, error) { return os.Lstat(filepath.Join(root, path)) }
			s.faults = snapfile.Programs(top, s.file)
		}
		return
	}
	parts := top.Get("parts")
	if known, err := snapfile.ReadParts(root, top); err == nil {
		for path, file := range known.Files {
			if filepath.Dir(path) == snapfile.HookFile("") {
				s.addHook(filepath.Base(path), file)
			}
		}
		if known.Complete && len(parts.Keys()) > 0 {
			s.file = known.Lstat
			s.faults = slices.DeleteFunc(snapfile.Programs(top, s.file), func(f snapfile.Fault) bool { return f.Gone && made(root, parts, f.Path) })
		}
	}
	for _, name := range parts.Keys() {
		part := parts.Get(name)
		for _, key := range part.Keys() { // a script may also write the snap's file itself
			if key == "organize" || strings.HasPrefix(key, "override-") {
				s.built = s.built || bytes.Contains(part.Get(key).JSON(), []byte("hooks"))
			}
		}
		if slices.Contains([]string{"make", "autotools", "cmake", "meson", "scons"}, part.Get("plugin").String()) {
			s.built = true
		}
		from := snapfile.Dumped(root, part)
		if part.Get("plugin").String() == "dump" && from == "" {
			s.built = true // an archive, or a source for each architecture
		}
		if s.file != nil || from == "" || from == root {
			continue
		}
		for _, folder := range []string{"snap", "meta"} {
			if _, err := os.Stat(filepath.Join(from, folder, "hooks")); err == nil {
				s.built = true
			}
		}
	}
}

// made reports whether a program may be built before the snap: git ignores the file that a part copies.
func made(root string, parts *document.Node, program string) bool {
	for _, name := range parts.Keys() {
		part := parts.Get(name)
		source, err := filepath.Rel(root, snapfile.Dumped(root, part))
		if err != nil {
			continue
		}
		places := []string{program}
		for _, key := range part.Get("organize").Keys() {
			if below, ok := strings.CutPrefix(program+"/", filepath.Clean(part.Get("organize").Get(key).String())+"/"); ok {
				places = append(places, key, filepath.Join(key, below))
			}
		}
		for _, place := range places {
			if ignored(root, filepath.Join(source, place)) {
				return true
			}
		}
	}
	return false
}

// ignored reports whether git may ignore a file. It matches each pattern of each .gitignore anywhere in the path, so it ignores
// more than git does.
func ignored(root, path string) bool {
	words := strings.Split(path, "/")
	folders := []string{root}
	for i := range words[:len(words)-1] {
		folders = append(folders, filepath.Join(root, filepath.Join(words[:i+1]...)))
	}
	if absolute, err := filepath.Abs(root); err == nil {
		for dir := absolute; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
				folders = append(folders, dir)
				break
			} else if dir == filepath.Dir(dir) {
				break
			}
			words = append([]string{filepath.Base(dir)}, words...)
			folders = append(folders, filepath.Dir(dir))
		}
	}
	for _, folder := range folders {
		text, _ := os.ReadFile(filepath.Join(folder, ".gitignore"))
		for line := range strings.Lines(string(text)) {
			pattern := strings.Split(strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "**/"), "/"), "/")
			if pattern[0] == "" || pattern[0][0] == '#' || pattern[0][0] == '!' {
				continue
			}
			for i := 0; i+len(pattern) <= len(words); i++ {
				if ok, _ := filepath.Match(filepath.Join(pattern...), filepath.Join(words[i:i+len(pattern)]...)); ok {
					return true
				}
			}
		}
	}
	return false
}

// addHook adds a hook that a part installs, unless the project has a hook of this name.
func (s *Snap) addHook(name, file string) {
	i := slices.IndexFunc(s.scripts, func(h script) bool { return h.Name == name })
	if i >= 0 && s.scripts[i].File != s.File {
		return
	}
	hook := script{Hook: snapfile.Hook{Name: name, File: file, Executable: true}}
	if hook.read(s.read) != nil {
		return
	}
	if i < 0 {
		s.scripts = append(s.scripts, hook)
		slices.SortFunc(s.scripts, func(a, b script) int { return strings.Compare(a.Name, b.Name) })
		return
	}
	hook.At = s.scripts[i].At
	s.scripts[i] = hook
}

// read reads the hook's file, if it is a script of at most maxHook bytes.
func (h *script) read(read func(name string) ([]byte, error)) error {
	info, err := os.Stat(h.File)
	if err != nil || info.Size() > maxHook || !info.Mode().IsRegular() {
		return err
	}
	if h.text, err = read(h.File); err == nil && bytes.IndexByte(h.text, 0) >= 0 {
		h.text = nil // a program
	}
	return err
}

func (s *Snap) hookNames() []string {
	var names []string
	for _, h := range s.scripts {
		names = append(names, h.Name)
	}
	return names
}

// hasTwin reports whether the snap has another plug for the same view.
func (s *Snap) hasTwin(p *snapfile.Plug) bool {
	return slices.ContainsFunc(s.Plugs, func(other snapfile.Plug) bool {
		return other.Name != p.Name && other.Confdb() && other.Account == p.Account && other.View == p.View
	})
}

func (s *Snap) hasHook(name string) bool {
	return slices.Contains(s.hookNames(), name)
}

// confdbs returns the names of the plugs for confdbs.
func (s *Snap) confdbs() []string {
	var names []string
	for i := range s.Plugs {
		if p := &s.Plugs[i]; p.Confdb() || mistaken(p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// mistaken reports whether a plug has the attributes of a confdb plug and another interface.
func mistaken(p *snapfile.Plug) bool {
	if p.Interface == "confdb" || p.Interface == "registry" || p.Account == "" && p.View == "" {
		return false
	}
	return p.Account != "" && p.View != "" || len(nearest.Names(p.Interface, []string{"confdb"})) > 0
}

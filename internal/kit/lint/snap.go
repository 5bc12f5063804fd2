package lint

import (
	"bytes"
	"errors"
	"fmt"
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

// A Snap is what matters to a confdb of a snap as source or unpacked.
type Snap struct {
	File  string // its snapcraft.yaml or snap.yaml
	Name  string
	Plugs []Plug // in the file's order
	Hooks []Hook // sorted by name

	built   bool // parts are built, which may bring hooks
	open    bool // extensions bring plugs
	faults  []snapfile.Fault
	strange []strange
	twice   []document.Fault // keys that are there twice
	folders []string         // in the place of hooks
	nameAt  document.Position

	base string                                 // "" where the programs of the system may not be the base's
	file func(path string) (fs.FileInfo, error) // tells of a file of the snap; nil where not all are known
}

// strange is a key that has a place for it, under another name.
type strange struct {
	key, meant string
	at         document.Position
}

// A Plug is a plug of a snap.
type Plug struct {
	Name      string
	Interface string
	Account   string // of confdb plugs
	View      string // SCHEMA/VIEW
	Role      string // "custodian" or ""

	entry document.Entry
}

// A Hook is a hook of a snap: a file, or a section of the snap's file, or both.
type Hook struct {
	Name       string
	File       string // its script; the snap's file if there is no script
	Text       []byte // of the script; nil if there is none, or it is a program
	Executable bool   // or snapcraft makes it so, as it does with those in snap/hooks

	at   document.Position // in the snap's file
	asks []calls.Call      // what its script asks snapctl for
}

// maxHook is how long a script may be to be looked at, in bytes.
const maxHook = 1 << 20

// ReadSnap reads a snap: a snapcraft.yaml, a meta/snap.yaml, or the folder that has one of them, with its hooks.
func ReadSnap(name string) (*Snap, error) {
	file, err := snapfile.Find(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if len(text) > document.MaxSize {
		return nil, fmt.Errorf("cannot read %s: it is too large for a snap's file", file)
	}
	top, twice, err := snapfile.Parse(file, text)
	if err != nil {
		return nil, err
	}
	snap := &Snap{File: file, Name: top.Get("name").String(), twice: twice}
	if snap.Name == "" {
		return nil, &document.Error{File: file, Pos: document.Position{Line: 1, Column: 1}, Message: "the snap has no name"}
	}
	snap.nameAt = top.Entry("name").At()
	plugs := top.Get("plugs")
	for _, key := range plugs.Keys() {
		snap.Plugs = append(snap.Plugs, plug(*plugs.Entry(key)))
	}
	snap.readKeys(top)
	if top.Get("layout") == nil && top.Get("confinement").String() != "classic" {
		snap.base = top.Get("base").String()
	}
	if err := snap.readHooks(top.Get("hooks")); err != nil {
		return nil, err
	}
	if snap.folders, err = snapfile.Folders(file); err != nil {
		return nil, err
	}
	snap.readParts(top)
	for i := range snap.Hooks {
		hook := &snap.Hooks[i]
		hook.asks = calls.Find(hook.Name, hook.Text)
	}
	return snap, nil
}

// Keys of a snap's file, and of an app in it, that are looked for under other names, and those that are near to them.
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

// readKeys finds keys that are not what they are meant to be, and plugs that only apps and hooks name.
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
			for _, used := range entry.Get("plugs").List() {
				if used.String() != "" && s.plug(used.Text) == nil {
					s.Plugs = append(s.Plugs, Plug{Name: used.Text, Interface: used.Text, entry: document.Entry{Key: used.Text, KeyPos: used.Pos}})
				}
			}
		}
	}
}

func plug(entry document.Entry) Plug {
	p := Plug{Name: entry.Key, Interface: entry.Key, entry: entry}
	switch value := entry.Value; value.Kind {
	case document.String:
		p.Interface = value.Text
	case document.Map:
		if name := value.Get("interface").String(); name != "" {
			p.Interface = name
		}
		p.Account, p.View, p.Role = value.Get("account").String(), value.Get("view").String(), value.Get("role").String()
	}
	return p
}

// readParts finds hooks that parts bring, and programs that nothing brings. Where not all parts can be known, it looks whether
// they may bring hooks: those that are told to, by name, those whose source has a folder of them, and those that a Makefile
// or its like installs.
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
				s.bring(filepath.Base(path), file)
			}
		}
		if known.Complete && len(parts.Keys()) > 0 {
			s.file = known.Lstat
			s.faults = slices.DeleteFunc(snapfile.Programs(top, s.file), func(f snapfile.Fault) bool { return f.Gone && made(root, parts, f.Path) })
		}
	}
	for _, name := range parts.Keys() {
		part := parts.Get(name)
		for _, key := range part.Keys() { // also where the file may be made before
			if key == "organize" || strings.HasPrefix(key, "override-") {
				s.built = s.built || bytes.Contains(part.Get(key).JSON(), []byte("hooks"))
			}
		}
		if slices.Contains([]string{"make", "autotools", "cmake", "meson", "scons"}, part.Get("plugin").String()) {
			s.built = true
		}
		from := snapfile.Dumped(root, part)
		if part.Get("plugin").String() == "dump" && from == "" {
			s.built = true // an archive, or what depends on the architecture
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

// made tells whether a program may be made before the snap is: git is told to ignore it where a part would find it.
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

// ignored tells whether a file may be one that git ignores: what a .gitignore says is taken in its widest sense.
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

// bring adds the hook that a part brings; one that lies in the project goes before it.
func (s *Snap) bring(name, file string) {
	i := slices.IndexFunc(s.Hooks, func(h Hook) bool { return h.Name == name })
	if i >= 0 && s.Hooks[i].File != s.File {
		return
	}
	hook := Hook{Name: name, File: file, Executable: true}
	if hook.read() != nil {
		return
	}
	if i < 0 {
		s.Hooks = append(s.Hooks, hook)
		slices.SortFunc(s.Hooks, func(a, b Hook) int { return strings.Compare(a.Name, b.Name) })
		return
	}
	hook.at = s.Hooks[i].at
	s.Hooks[i] = hook
}

// read reads a hook's script, if it is one.
func (h *Hook) read() error {
	info, err := os.Stat(h.File)
	if err != nil || info.Size() > maxHook || !info.Mode().IsRegular() {
		return err
	}
	if h.Text, err = os.ReadFile(h.File); err == nil && bytes.IndexByte(h.Text, 0) >= 0 {
		h.Text = nil // a program
	}
	return err
}

func (s *Snap) readHooks(section *document.Node) error {
	names, err := snapfile.Hooks(s.File)
	if err != nil {
		return err
	}
	for _, name := range names {
		file := filepath.Join(snapfile.HookFolder(s.File), name)
		hook := Hook{Name: name, File: file, Executable: true}
		info, err := os.Stat(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			hook.Executable = !snapfile.Built(s.File) || info.Mode()&0o111 != 0
			if err := hook.read(); err != nil {
				return err
			}
		}
		s.Hooks = append(s.Hooks, hook)
	}
	for _, name := range section.Keys() {
		at := section.Entry(name).KeyPos
		if i := slices.IndexFunc(s.Hooks, func(h Hook) bool { return h.Name == name }); i >= 0 {
			s.Hooks[i].at = at
			continue
		}
		s.Hooks = append(s.Hooks, Hook{Name: name, File: s.File, Executable: true, at: at})
	}
	slices.SortFunc(s.Hooks, func(a, b Hook) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (s *Snap) plug(name string) *Plug {
	for i := range s.Plugs {
		if s.Plugs[i].Name == name {
			return &s.Plugs[i]
		}
	}
	return nil
}

func (s *Snap) hookNames() []string {
	var names []string
	for _, h := range s.Hooks {
		names = append(names, h.Name)
	}
	return names
}

// hasTwin reports whether the snap has another plug for the same view.
func (s *Snap) hasTwin(p *Plug) bool {
	return slices.ContainsFunc(s.Plugs, func(other Plug) bool {
		return other.Name != p.Name && other.confdb() && other.Account == p.Account && other.View == p.View
	})
}

func (s *Snap) hasHook(name string) bool {
	return slices.Contains(s.hookNames(), name)
}

// confdbs returns the names of the plugs for confdbs.
func (s *Snap) confdbs() []string {
	var names []string
	for i := range s.Plugs {
		if p := &s.Plugs[i]; p.confdb() || p.mistaken() {
			names = append(names, p.Name)
		}
	}
	return names
}

// mistaken tells whether a plug is for a confdb, by its attributes, and has another interface.
func (p *Plug) mistaken() bool {
	if p.Interface == "confdb" || p.Interface == "registry" || p.Account == "" && p.View == "" {
		return false
	}
	return p.Account != "" && p.View != "" || len(nearest.Names(p.Interface, []string{"confdb"})) > 0
}

func (p *Plug) confdb() bool { return p != nil && p.Interface == "confdb" }

// custodian tells whether snapd asks the plug's snap about what passes through the view.
func (p *Plug) custodian() bool { return p.confdb() && p.Role == "custodian" }

// at is where an attribute of a plug is, or the plug.
func (p *Plug) at(attribute string) document.Position {
	if entry := p.entry.Value.Entry(attribute); entry != nil {
		return entry.At()
	}
	return p.entry.KeyPos
}

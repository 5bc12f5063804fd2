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
	"aspects-poc/registry/kit/snapfile"
)

// A Snap is what matters to a confdb of a snap as source or unpacked.
type Snap struct {
	File  string // its snapcraft.yaml or snap.yaml
	Name  string
	Plugs []Plug // in the file's order
	Hooks []Hook // sorted by name

	built   bool      // parts are built, which may bring hooks
	missing []program // of an unpacked snap
}

// A program is a file of the snap that an app or a hook names.
type program struct {
	path string
	at   document.Position
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

	at document.Position // in the snap's file
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
	top, err := document.ParseYAML(file, text)
	if err != nil {
		return nil, err
	}
	if !top.Is(document.Map) {
		return nil, &document.Error{File: file, Pos: document.Position{Line: 1, Column: 1}, Message: "want a map, as a snapcraft.yaml or snap.yaml is one"}
	}
	snap := &Snap{File: file, Name: top.Get("name").String()}
	if snap.Name == "" {
		return nil, &document.Error{File: file, Pos: document.Position{Line: 1, Column: 1}, Message: "the snap has no name"}
	}
	plugs := top.Get("plugs")
	for _, key := range plugs.Keys() {
		snap.Plugs = append(snap.Plugs, plug(*plugs.Entry(key)))
	}
	if err := snap.readHooks(top.Get("hooks")); err != nil {
		return nil, err
	}
	root := filepath.Dir(file)
	if filepath.Base(root) == "snap" {
		root = filepath.Dir(root)
	}
	snap.readParts(top.Get("parts"), root)
	snap.readPrograms(top)
	return snap, nil
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

// readParts looks whether parts may bring hooks that are not in snap/hooks: those that are told to, by name, those whose
// source has a folder of them, and those that a Makefile or its like installs.
func (s *Snap) readParts(parts *document.Node, root string) {
	for _, name := range parts.Keys() {
		part := parts.Get(name)
		for _, key := range part.Keys() {
			if key == "organize" || strings.HasPrefix(key, "override-") {
				s.built = s.built || bytes.Contains(part.Get(key).JSON(), []byte("hooks"))
			}
		}
		if slices.Contains([]string{"make", "autotools", "cmake", "meson", "scons"}, part.Get("plugin").String()) {
			s.built = true
		}
		from := filepath.Join(root, part.Get("source").String())
		if part.Get("plugin").String() != "dump" || from == root {
			continue
		}
		for _, folder := range []string{"snap", "meta"} {
			if _, err := os.Stat(filepath.Join(from, folder, "hooks")); err == nil {
				s.built = true
			}
		}
	}
}

// readPrograms finds commands and command-chains of an unpacked snap that it does not have.
func (s *Snap) readPrograms(top *document.Node) {
	root := filepath.Dir(filepath.Dir(s.File))
	look := func(command *document.Node) {
		path, _, _ := strings.Cut(strings.TrimSpace(command.String()), " ")
		if path == "" || strings.ContainsAny(path, "$") || filepath.IsAbs(path) {
			return
		}
		if _, err := os.Lstat(filepath.Join(root, path)); errors.Is(err, fs.ErrNotExist) {
			s.missing = append(s.missing, program{path, command.Pos})
		}
	}
	for _, section := range []string{"apps", "hooks"} {
		for _, name := range top.Get(section).Keys() {
			entry := top.Get(section).Get(name)
			for _, link := range entry.Get("command-chain").List() {
				look(link)
			}
			for _, key := range []string{"command", "stop-command", "reload-command", "post-stop-command", "completer"} {
				look(entry.Get(key))
			}
		}
	}
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
			if info.Size() <= maxHook {
				if hook.Text, err = os.ReadFile(file); err != nil {
					return err
				}
				if bytes.IndexByte(hook.Text, 0) >= 0 {
					hook.Text = nil // a program
				}
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

func (s *Snap) hasHook(name string) bool {
	return slices.ContainsFunc(s.Hooks, func(h Hook) bool { return h.Name == name })
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

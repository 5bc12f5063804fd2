package snapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A Snap is the content of a snapcraft.yaml or snap.yaml, with the hooks beside it.
type Snap struct {
	File string         // the snapcraft.yaml or snap.yaml
	Top  *document.Node // its whole content
	Text []byte         // its text

	Name, Version, Summary, Description, Confinement string

	Environment []Variable // of all hooks and apps
	Plugs       []Plug     // in the file's order; those that only apps and hooks name are last
	Apps        []App      // in the file's order
	Hooks       []Hook     // sorted by name

	Folders []string         // names of folders in the place of hooks
	Twice   []document.Fault // repeated keys of an unpacked snap
	Wrong   error            // the first value of a wrong kind, such as a list in the place of a text; nil if there is none
}

// A Plug is a plug of a snap.
type Plug struct {
	Name      string
	Interface string
	Account   string // of confdb plugs
	View      string // SCHEMA/VIEW
	Role      string // "custodian" or ""

	Entry document.Entry // its place in the snap's file
}

// Confdb reports whether a plug is for a confdb. A nil plug is not.
func (p *Plug) Confdb() bool { return p != nil && p.Interface == "confdb" }

// Custodian reports whether the plug has the role custodian: snapd runs hooks of its snap for accesses to the view.
func (p *Plug) Custodian() bool { return p.Confdb() && p.Role == "custodian" }

// At returns the position of an attribute, or that of the plug if it does not have the attribute.
func (p *Plug) At(attribute string) document.Position {
	if entry := p.Entry.Value.Entry(attribute); entry != nil {
		return entry.At()
	}
	return p.Entry.KeyPos
}

// A Hook is a hook of a snap: a file, or a section of the snap's file, or both.
type Hook struct {
	Name       string
	File       string            // its program; the snap's file if there is no program
	Executable bool              // whether it is executable in the built snap; snapcraft makes the files in snap/hooks executable
	At         document.Position // in the snap's file; zero if the hook is only a file
	Setting
}

// An App is an app or a service of a snap. All values are as the file has them.
type App struct {
	Name        string
	Command     string
	Daemon      string // "" for an app that is no service
	Timer       string
	InstallMode string
	Restart     string // restart-condition
	Delay       string // restart-delay
	Setting
}

// A Setting has the settings that apps and hooks have in common.
type Setting struct {
	Plugs       []string
	Chain       []string // command-chain
	Environment []Variable
}

// A Variable is a variable of an environment. Its value may use the variables before it.
type Variable struct{ Name, Value string }

// Read reads a snap: a snapcraft.yaml, a meta/snap.yaml, or the folder that has one of them, with its hooks. It returns a
// *MissingError if the folder has no snap, and a *document.Error if the file is not a snap's.
func Read(name string) (*Snap, error) { return ReadWith(name, os.ReadFile) }

// ReadWith is Read with a function that returns the text of the snap's file.
func ReadWith(name string, read func(name string) ([]byte, error)) (*Snap, error) {
	file, err := Find(name)
	if err != nil {
		return nil, err
	}
	text, err := read(file)
	if err != nil {
		return nil, err
	}
	if len(text) > document.MaxSize {
		return nil, fmt.Errorf("cannot read %s: it is too large for a snap's file", file)
	}
	top, twice, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	r := reader{file: file}
	s := &Snap{File: file, Top: top, Text: text, Twice: twice, Name: top.Get("name").String()}
	if s.Name == "" {
		return nil, &document.Error{File: file, Pos: document.Position{Line: 1, Column: 1}, Message: "the snap has no name"}
	}
	s.Version, s.Summary = r.text(top.Get("version")), r.text(top.Get("summary"))
	s.Description, s.Confinement = r.text(top.Get("description")), r.text(top.Get("confinement"))
	s.Environment = r.environment(top.Get("environment"))
	for _, entry := range r.entries(top.Get("plugs")) {
		s.Plugs = append(s.Plugs, r.plug(entry))
	}
	for _, entry := range r.entries(top.Get("apps")) {
		s.Apps = append(s.Apps, r.app(entry))
	}
	for _, entry := range r.entries(top.Get("hooks")) {
		s.Hooks = append(s.Hooks, Hook{Name: entry.Key, File: file, Executable: true, At: entry.KeyPos, Setting: r.setting(entry.Value)})
	}
	s.Wrong = r.wrong
	s.addUsed()
	return s, s.addFiles()
}

// Plug returns the plug of a name, or nil.
func (s *Snap) Plug(name string) *Plug {
	for i := range s.Plugs {
		if s.Plugs[i].Name == name {
			return &s.Plugs[i]
		}
	}
	return nil
}

// addUsed adds the plugs that apps and hooks name and the section plugs does not have.
func (s *Snap) addUsed() {
	for _, section := range []string{"apps", "hooks"} {
		for _, name := range s.Top.Get(section).Keys() {
			for _, used := range s.Top.Get(section).Get(name).Get("plugs").List() {
				if used.String() != "" && s.Plug(used.Text) == nil {
					s.Plugs = append(s.Plugs, Plug{Name: used.Text, Interface: used.Text, Entry: document.Entry{Key: used.Text, KeyPos: used.Pos}})
				}
			}
		}
	}
}

// addFiles adds the hooks that are beside the snap's file, and sorts all hooks.
func (s *Snap) addFiles() error {
	names, folders, err := beside(s.File)
	if err != nil {
		return err
	}
	s.Folders = folders
	for _, name := range names {
		i := slices.IndexFunc(s.Hooks, func(h Hook) bool { return h.Name == name })
		if i < 0 {
			i = len(s.Hooks)
			s.Hooks = append(s.Hooks, Hook{Name: name, Executable: true})
		}
		hook := &s.Hooks[i]
		hook.File = filepath.Join(HookFolder(s.File), name)
		info, err := os.Stat(hook.File)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			hook.Executable = !Built(s.File) || info.Mode()&0o111 != 0
		}
	}
	slices.SortFunc(s.Hooks, func(a, b Hook) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// A reader reads the values of a snap's file. It records the first value of a wrong kind, and continues.
type reader struct {
	file  string
	wrong error
}

func (r *reader) refuse(at document.Position, format string, args ...any) {
	if r.wrong == nil {
		r.wrong = &document.Error{File: r.file, Pos: at, Message: fmt.Sprintf(format, args...)}
	}
}

// is reports whether a node is of a kind. It records a fault if not, except for null and a missing node.
func (r *reader) is(n *document.Node, kind document.Kind) bool {
	if n != nil && n.Kind != kind && n.Kind != document.Null {
		r.refuse(n.Pos, "want a %s, not a %s", kind, n.Kind)
	}
	return n.Is(kind)
}

// text returns a scalar as the file has it.
func (r *reader) text(n *document.Node) string {
	if n.Is(document.List) || n.Is(document.Map) {
		r.refuse(n.Pos, "want a text, not a %s", n.Kind)
	}
	return n.Written()
}

func (r *reader) texts(n *document.Node) []string {
	if !r.is(n, document.List) {
		return nil
	}
	var list []string
	for _, item := range n.Items {
		list = append(list, r.text(item))
	}
	return list
}

// entries returns the entries of a map, in the order of the file. Of a repeated key, it returns the last one.
func (r *reader) entries(n *document.Node) []document.Entry {
	if !r.is(n, document.Map) {
		return nil
	}
	var list []document.Entry
	seen := map[string]bool{}
	for _, entry := range slices.Backward(n.Entries) {
		if !seen[entry.Key] {
			seen[entry.Key] = true
			list = append(list, entry)
		}
	}
	slices.Reverse(list)
	return list
}

func (r *reader) environment(n *document.Node) []Variable {
	var list []Variable
	for _, entry := range r.entries(n) {
		list = append(list, Variable{entry.Key, r.text(entry.Value)})
	}
	return list
}

func (r *reader) setting(n *document.Node) Setting {
	if !r.is(n, document.Map) {
		return Setting{}
	}
	return Setting{Plugs: r.texts(n.Get("plugs")), Chain: r.texts(n.Get("command-chain")), Environment: r.environment(n.Get("environment"))}
}

func (r *reader) app(entry document.Entry) App {
	n := entry.Value
	return App{Name: entry.Key, Command: r.text(n.Get("command")), Daemon: r.text(n.Get("daemon")), Timer: r.text(n.Get("timer")),
		InstallMode: r.text(n.Get("install-mode")), Restart: r.text(n.Get("restart-condition")), Delay: r.text(n.Get("restart-delay")),
		Setting: r.setting(n)}
}

func (r *reader) plug(entry document.Entry) Plug {
	p := Plug{Name: entry.Key, Interface: entry.Key, Entry: entry}
	switch value := entry.Value; value.Kind {
	case document.Null:
	case document.String:
		p.Interface = value.Text
	case document.Map:
		if name := value.Get("interface").String(); name != "" {
			p.Interface = name
		}
		p.Account, p.View, p.Role = value.Get("account").String(), value.Get("view").String(), value.Get("role").String()
	default:
		r.refuse(value.Pos, "plug %q is neither a map nor the name of an interface", p.Name)
	}
	return p
}

// Package source reads other people's snaps as they lie in a source tree, without building them: a snapcraft.yaml with
// hooks in snap/hooks, or an unpacked snap with meta/snap.yaml. Its main function is Load.
//
//	found, err := source.Load("./custodian", source.Options{Stage: stage})
//	err = w.Install(ctx, found.Snap)
//
// What snapcraft would build is not built. Hooks, and files that parts with the plugin dump would copy, are linked into
// a folder that stands for the snap, so that what is edited counts at the next run of a hook.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/dialect"
)

// A Source is a snap that was found in a folder.
type Source struct {
	Snap facts.Snap // Snap.Dir is where it can be run from
	// Watch are the files and folders that decide what was found: when one changes, Load may find something else.
	Watch []string
	// Warnings say what is not as it would be in the built snap.
	Warnings []string
}

// Options say what is not in the files.
type Options struct {
	Stage   string // the folder in which snaps that are not unpacked are laid out, each in one of its name
	Account string // the account ID of plugs that have the place for one only, as a template does
}

// metadata is what snapcraft.yaml and snap.yaml have in common, as far as it matters here.
type metadata struct {
	Name        string               `yaml:"name"`
	Version     string               `yaml:"version"`
	Summary     string               `yaml:"summary"`
	Description string               `yaml:"description"`
	Confinement string               `yaml:"confinement"`
	Plugs       map[string]yaml.Node `yaml:"plugs"`
	Apps        map[string]app       `yaml:"apps"`
	Hooks       map[string]setting   `yaml:"hooks"`
	Environment environment          `yaml:"environment"`
}

// setting is what apps and hooks have in common.
type setting struct {
	Plugs       []string    `yaml:"plugs"`
	Chain       []string    `yaml:"command-chain"`
	Environment environment `yaml:"environment"`
}

func (s setting) setting() facts.Setting {
	return facts.Setting{Environment: s.Environment, Chain: s.Chain}
}

type app struct {
	Command     string `yaml:"command"`
	Daemon      string `yaml:"daemon"`
	Timer       string `yaml:"timer"`
	InstallMode string `yaml:"install-mode"`
	Restart     string `yaml:"restart-condition"`
	Delay       string `yaml:"restart-delay"`
	setting     `yaml:",inline"`
}

// restarts are the values of restart-condition.
var restarts = []string{"on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "always", "never"}

// environment keeps variables in the order of the file: each may use those before it.
type environment []facts.Variable

// UnmarshalYAML reads a map, with what it takes over from others by "<<".
func (e *environment) UnmarshalYAML(node *yaml.Node) error {
	var values map[string]string
	if err := node.Decode(&values); err != nil {
		return err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		if value, own := values[name]; own {
			*e = append(*e, facts.Variable{Name: name, Value: value})
			delete(values, name)
		}
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(values))) { // taken over
		*e = slices.Insert(*e, 0, facts.Variable{Name: name, Value: values[name]})
	}
	return nil
}

// Load finds the snap in a folder.
func Load(dir string, options Options) (*Source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	found, err := load(dir, options)
	if missing := (*snapfile.MissingError)(nil); errors.As(err, &missing) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the snap in %s: %w", dir, err)
	}
	return found, nil
}

func load(dir string, options Options) (*Source, error) {
	path, err := snapfile.Find(dir)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tree, err := document.ReadYAML(path, content)
	if err != nil {
		return nil, err
	}
	top, _, err := snapfile.Parse(path, content)
	if err != nil {
		return nil, err
	}
	var sections []string
	if snapfile.Built(path) {
		sections = snapfile.Sections
	}
	once(tree, sections)
	var m metadata
	if err := tree.Decode(&m); err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", path, err)
	}
	s, err := m.source(options.Account)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.Watch = append(s.Watch, path)
	if snapfile.Built(path) {
		s.Snap.Dir = dir
		if err := s.hooks(path, nil); err != nil {
			return nil, err
		}
		return s, s.usable(top)
	}
	s.Snap.Dir = filepath.Join(options.Stage, s.Snap.Name)
	parts, err := s.parts(dir, top)
	if err != nil {
		return nil, err
	}
	if err := s.hooks(path, parts.Files); err != nil {
		return nil, err
	}
	if err := s.layOut(parts); err != nil {
		return nil, err
	}
	if !parts.Complete {
		return s, nil
	}
	if reason := snapfile.RefusedHooks(s.Snap.Hooks); reason != "" {
		return nil, errors.New(reason)
	}
	return s, s.refused(snapfile.Programs(top, parts.Lstat))
}

// once leaves of keys that a map has twice the last one only, which is the one that counts; of sections, with what is in all.
func once(n *yaml.Node, sections []string) {
	if n.Kind == yaml.MappingNode {
		last := map[string]*yaml.Node{}
		for i := len(n.Content) - 2; i >= 0; i -= 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
				continue
			}
			later := last[key.Value]
			switch {
			case later == nil:
				last[key.Value] = value
				continue
			case slices.Contains(sections, key.Value) && value.Kind == yaml.MappingNode && later.Kind == yaml.MappingNode:
				later.Content = slices.Concat(value.Content, later.Content)
			}
			n.Content = slices.Delete(n.Content, i, i+2)
		}
		sections = nil
	}
	for _, inner := range n.Content {
		once(inner, sections)
	}
}

// refused tells of the first fault that keeps a snap from being built, or installed, and warns of the others.
func (s *Source) refused(faults []snapfile.Fault) error {
	for _, fault := range faults {
		switch {
		case fault.Late:
			s.Warnings = append(s.Warnings, fault.Reason)
		case strings.HasPrefix(fault.Reason, "snap is unusable"):
			return errors.New(fault.Reason + "; contact developer")
		default:
			return errors.New(fault.Reason)
		}
	}
	return nil
}

var validHook = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)

// source turns metadata into a snap.
func (m *metadata) source(account string) (*Source, error) {
	if m.Name == "" {
		return nil, errors.New("it has no name")
	}
	if !snapfile.ValidName(m.Name) { // which becomes the name of a folder, too
		return nil, fmt.Errorf("%q cannot be a snap's name: want at most 40 of a-z, 0-9 and single hyphens in between, with a letter "+
			"among them", m.Name)
	}
	s := &Source{Snap: facts.Snap{Name: m.Name, Version: m.Version, Revision: "x1", Summary: m.Summary, Description: m.Description,
		Confinement: m.Confinement, Environment: m.Environment, Plugs: map[string]facts.Plug{},
		Services: map[string]facts.Service{}, Apps: map[string]facts.App{}, HookSettings: map[string]facts.Setting{}}}
	for _, name := range slices.Sorted(maps.Keys(m.Plugs)) {
		node := m.Plugs[name]
		for node.Kind == yaml.AliasNode {
			node = *node.Alias
		}
		plug := facts.Plug{Interface: name}
		switch node.Kind {
		case yaml.ScalarNode:
			if node.Tag != "!!null" {
				plug.Interface = node.Value
			}
		case yaml.MappingNode:
			var attributes struct{ Interface, Account, View, Role string }
			if err := node.Decode(&attributes); err != nil {
				return nil, fmt.Errorf("plug %q: %w", name, err)
			}
			if attributes.Interface != "" {
				plug.Interface = attributes.Interface
			}
			plug.Account, plug.View, plug.Role = attributes.Account, attributes.View, attributes.Role
			if account != "" && dialect.ValidAccount(plug.Account) != nil && document.Placeholder(plug.Account) {
				plug.Account = account
			}
		default:
			return nil, fmt.Errorf("plug %q is neither a map nor the name of an interface", name)
		}
		if plug.Interface == "confdb" {
			if _, reason := snapfile.Refused(plug.Account, plug.View, plug.Role); reason != "" {
				return nil, fmt.Errorf("plug %q: %s", name, reason)
			}
		}
		s.Snap.Plugs[name] = plug
	}
	var used []string
	for name, app := range m.Apps {
		used = append(used, app.Plugs...)
		if app.Daemon == "" {
			s.Snap.Apps[name] = facts.App{Command: app.Command, Setting: app.setting.setting()}
			continue
		}
		service := facts.Service{Command: app.Command, Daemon: app.Daemon, Timer: app.Timer != "",
			Disabled: app.InstallMode == "disable", Setting: app.setting.setting(), Restart: app.Restart}
		if app.Restart != "" && !slices.Contains(restarts, app.Restart) {
			return nil, fmt.Errorf("app %q: invalid restart-condition %q: want one of %s", name, app.Restart, strings.Join(restarts, ", "))
		}
		if app.Delay != "" {
			var err error
			if service.RestartDelay, err = time.ParseDuration(app.Delay); err != nil || service.RestartDelay < 0 {
				return nil, fmt.Errorf("app %q: invalid restart-delay %q: want a time such as 10s", name, app.Delay)
			}
		}
		s.Snap.Services[name] = service
	}
	for name, hook := range m.Hooks {
		if !validHook.MatchString(name) {
			return nil, fmt.Errorf("invalid hook name: %q", name)
		}
		used = append(used, hook.Plugs...)
		s.Snap.Hooks = append(s.Snap.Hooks, name)
		if len(hook.Chain) > 0 || len(hook.Environment) > 0 {
			s.Snap.HookSettings[name] = hook.setting()
		}
	}
	for _, name := range used {
		if _, declared := s.Snap.Plugs[name]; !declared {
			s.Snap.Plugs[name] = facts.Plug{Interface: name}
		}
	}
	return s, nil
}

// hooks adds the hooks beside a snap's file, and those that parts bring, to those that it declares. Where they are found
// goes into files, unless it is nil.
func (s *Source) hooks(file string, files map[string]string) error {
	names, err := snapfile.Hooks(file)
	if err != nil {
		return err
	}
	folder := snapfile.HookFolder(file)
	s.Watch = append(s.Watch, folder)
	if files != nil {
		for _, name := range names {
			files[snapfile.HookFile(name)] = filepath.Join(folder, name)
		}
		for path := range files {
			if filepath.Dir(path) == snapfile.HookFile("") {
				names = append(names, filepath.Base(path))
			}
		}
	}
	s.Snap.Hooks = append(s.Snap.Hooks, names...)
	slices.Sort(s.Snap.Hooks)
	s.Snap.Hooks = slices.Compact(s.Snap.Hooks)
	for _, name := range s.Snap.Hooks {
		kind, plug := snapfile.Split(name)
		if _, declared := s.Snap.Plugs[plug]; kind == "" && !snapfile.Fixed(name) || kind != "" && !declared {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is of no use: snapd runs no hook of that name, or the snap "+
				"has no such plug", name))
		}
	}
	return nil
}

// usable looks at the files of an unpacked snap as snapd does before it installs one: programs that apps run must be there,
// and they and the hooks executable.
func (s *Source) usable(top *document.Node) error {
	if reason := snapfile.RefusedHooks(s.Snap.Hooks); reason != "" {
		return errors.New(reason)
	}
	lstat := func(path string) (fs.FileInfo, error) { return os.Lstat(filepath.Join(s.Snap.Dir, path)) }
	if err := s.refused(snapfile.Programs(top, lstat)); err != nil {
		return err
	}
	for _, name := range s.Snap.Hooks {
		file := snapfile.HookFile(name)
		if info, err := os.Stat(filepath.Join(s.Snap.Dir, file)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 == 0 {
			return fmt.Errorf("snap is unusable due to bad permissions: %q should be executable, and isn't: %s; contact developer",
				file, info.Mode())
		}
	}
	return nil
}

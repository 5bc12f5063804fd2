// Package source reads other people's snaps as they lie in a source tree, without building them: a snapcraft.yaml with
// hooks in snap/hooks, or an unpacked snap with meta/snap.yaml. Its main function is Load.
//
//	found, err := source.Load("./custodian", stage)
//	err = w.Install(ctx, found.Snap)
//
// What snapcraft would build is not built. Hooks, and files that parts with the plugin dump would copy, are linked into
// a folder that stands for the snap, so that what is edited counts at the next run of a hook.
package source

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"aspects-poc/registry/kit/snapfile"
	"aspects-poc/registry/kit/world"
)

// A Source is a snap that was found in a folder.
type Source struct {
	Snap world.Snap // Snap.Dir is where it can be run from
	// Watch are the files and folders that decide what was found: when one changes, Load may find something else.
	Watch []string
	// Warnings say what is not as it would be in the built snap.
	Warnings []string
}

// metadata is what snapcraft.yaml and snap.yaml have in common, as far as it matters here.
type metadata struct {
	Name        string               `yaml:"name"`
	Version     string               `yaml:"version"`
	Plugs       map[string]yaml.Node `yaml:"plugs"`
	Apps        map[string]app       `yaml:"apps"`
	Hooks       map[string]hook      `yaml:"hooks"`
	Environment map[string]string    `yaml:"environment"`
	Parts       map[string]part      `yaml:"parts"`
}

type app struct {
	Command     string   `yaml:"command"`
	Daemon      string   `yaml:"daemon"`
	Timer       string   `yaml:"timer"`
	InstallMode string   `yaml:"install-mode"`
	Plugs       []string `yaml:"plugs"`
}

type hook struct {
	Plugs []string `yaml:"plugs"`
}

type part struct {
	Plugin   string            `yaml:"plugin"`
	Source   string            `yaml:"source"`
	Organize map[string]string `yaml:"organize"`
}

// Load finds the snap in a folder. A snap that is not unpacked already is laid out in a folder of its name below stage.
func Load(dir, stage string) (*Source, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	found, err := load(dir, stage)
	if missing := (*snapfile.MissingError)(nil); errors.As(err, &missing) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the snap in %s: %w", dir, err)
	}
	return found, nil
}

func load(dir, stage string) (*Source, error) {
	path, err := snapfile.Find(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := yaml.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", path, err)
	}
	s, err := m.source()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.Watch = append(s.Watch, path)
	if err := s.hooks(path); err != nil {
		return nil, err
	}
	if snapfile.Built(path) {
		s.Snap.Dir = dir
		return s, nil
	}
	s.Snap.Dir = filepath.Join(stage, s.Snap.Name)
	return s, s.layOut(dir, snapfile.HookFolder(path), &m)
}

// What snapd takes for a name of a snap. It becomes the name of a folder, too.
const maxName = 40

var validName = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)

// source turns metadata into a snap.
func (m *metadata) source() (*Source, error) {
	if m.Name == "" {
		return nil, errors.New("it has no name")
	}
	if len(m.Name) > maxName || !validName.MatchString(m.Name) {
		return nil, fmt.Errorf("%q cannot be a snap's name: want at most %d of a-z, 0-9 and single hyphens in between, with a letter "+
			"among them", m.Name, maxName)
	}
	s := &Source{Snap: world.Snap{Name: m.Name, Version: m.Version, Revision: "x1", Environment: m.Environment,
		Plugs: map[string]world.Plug{}, Services: map[string]world.Service{}}}
	for _, name := range slices.Sorted(maps.Keys(m.Plugs)) {
		node := m.Plugs[name]
		plug := world.Plug{Interface: name}
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
	for _, app := range m.Apps {
		used = append(used, app.Plugs...)
	}
	for _, hook := range m.Hooks {
		used = append(used, hook.Plugs...)
	}
	for _, name := range used {
		if _, declared := s.Snap.Plugs[name]; !declared {
			s.Snap.Plugs[name] = world.Plug{Interface: name}
		}
	}
	for name, app := range m.Apps {
		if app.Daemon != "" {
			s.Snap.Services[name] = world.Service{Command: app.Command, Daemon: app.Daemon, Timer: app.Timer != "",
				Disabled: app.InstallMode == "disable"}
		}
	}
	return s, nil
}

// hooks lists the hooks beside a snap's file.
func (s *Source) hooks(file string) error {
	names, err := snapfile.Hooks(file)
	if err != nil {
		return err
	}
	s.Watch = append(s.Watch, snapfile.HookFolder(file))
	s.Snap.Hooks = names
	for _, name := range names {
		kind, plug := snapfile.Split(name)
		if _, declared := s.Snap.Plugs[plug]; kind == "" && !snapfile.Fixed(name) || kind != "" && !declared {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is of no use: snapd runs no hook of that name, or the snap "+
				"has no such plug", name))
		}
	}
	return nil
}

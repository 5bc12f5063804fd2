// Package source reads the source of a user's snap, so that the snap runs without a build. The source is a
// snapcraft.yaml with hooks in snap/hooks, or an unpacked snap with meta/snap.yaml. Its main function is Load, its main type
// Source.
//
//	found, err := source.Load("./custodian", source.Options{Stage: stage})
//	err = w.Install(ctx, found.Snap)
//
// Load links the hooks, and the files that parts with the plugin dump copy, into a folder that stands for the snap. So
// an edited file counts at the next run of a hook. The files that other plugins build are missing. Package snapfile parses the
// snap's files, and package hookrun runs the hooks.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/dialect"
)

// A Source is a snap that was found in a folder.
type Source struct {
	Snap facts.Snap // Snap.Dir is where it can be run from
	// Watch are the files and folders that Load has read. When one changes, Load may return something else.
	Watch []string
	// Warnings say how the snap differs from the built one.
	Warnings []string
}

// Options are options of Load.
type Options struct {
	Stage   string // folder for snaps that are not unpacked; each gets a folder of its name in it
	Account string // account ID for plugs whose account is a placeholder
}

// restarts are the values of restart-condition.
var restarts = []string{"on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "always", "never"}

// Load reads the snap in a folder, and prepares a snap that is not unpacked in Options.Stage. It returns an error if there is no
// snap, or if snapd or snapcraft would refuse it.
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
	snap, err := snapfile.Read(dir)
	if err != nil {
		return nil, err
	}
	if snap.Wrong != nil {
		return nil, snap.Wrong
	}
	s, err := convert(snap, options.Account)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", snap.File, err)
	}
	s.Watch = append(s.Watch, snap.File)
	if snapfile.Built(snap.File) {
		s.Snap.Dir = dir
		s.hooks(snap, nil)
		return s, s.usable(snap.Top)
	}
	s.Snap.Dir = filepath.Join(options.Stage, s.Snap.Name)
	parts, err := s.parts(dir, snap.Top)
	if err != nil {
		return nil, err
	}
	s.hooks(snap, parts.Files)
	if err := s.layOut(parts); err != nil {
		return nil, err
	}
	if !parts.Complete {
		return s, nil
	}
	if reason := snapfile.RefusedHooks(s.Snap.Hooks); reason != "" {
		return nil, errors.New(reason)
	}
	return s, s.refused(snapfile.Programs(snap.Top, parts.Lstat))
}

// refused returns the error of the first fault with which the snap cannot be built or installed. It adds warnings about the faults
// before it that only appear when the program runs.
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

// convert turns the files of a snap into a snap to install. It returns an error if snapd or snapcraft would refuse them.
func convert(from *snapfile.Snap, account string) (*Source, error) {
	if !snapfile.ValidName(from.Name) { // the name also becomes that of a folder
		return nil, fmt.Errorf("%q cannot be a snap's name: want at most 40 of a-z, 0-9 and single hyphens in between, with a letter "+
			"among them", from.Name)
	}
	s := &Source{Snap: facts.Snap{Name: from.Name, Version: from.Version, Revision: "x1", Summary: from.Summary, Description: from.Description,
		Confinement: from.Confinement, Environment: variables(from.Environment), Plugs: map[string]facts.Plug{},
		Services: map[string]facts.Service{}, Apps: map[string]facts.App{}, HookSettings: map[string]facts.Setting{}}}
	for _, plug := range from.Plugs {
		if account != "" && dialect.ValidAccount(plug.Account) != nil && document.Placeholder(plug.Account) {
			plug.Account = account
		}
		if plug.Confdb() && plug.Entry.Value != nil {
			if _, reason := snapfile.Refused(plug.Account, plug.View, plug.Role); reason != "" {
				return nil, fmt.Errorf("plug %q: %s", plug.Name, reason)
			}
		}
		s.Snap.Plugs[plug.Name] = facts.Plug{Interface: plug.Interface, Account: plug.Account, View: plug.View, Role: plug.Role}
	}
	for _, app := range from.Apps {
		if app.Daemon == "" {
			s.Snap.Apps[app.Name] = facts.App{Command: app.Command, Setting: setting(app.Setting)}
			continue
		}
		service, err := service(app)
		if err != nil {
			return nil, fmt.Errorf("app %q: %w", app.Name, err)
		}
		s.Snap.Services[app.Name] = service
	}
	for _, hook := range from.Hooks {
		if hook.At != (document.Position{}) && !validHook.MatchString(hook.Name) {
			return nil, fmt.Errorf("invalid hook name: %q", hook.Name)
		}
		if len(hook.Chain) > 0 || len(hook.Environment) > 0 {
			s.Snap.HookSettings[hook.Name] = setting(hook.Setting)
		}
	}
	return s, nil
}

func service(app snapfile.App) (facts.Service, error) {
	made := facts.Service{Command: app.Command, Daemon: app.Daemon, Timer: app.Timer != "",
		Disabled: app.InstallMode == "disable", Setting: setting(app.Setting), Restart: app.Restart}
	if app.Restart != "" && !slices.Contains(restarts, app.Restart) {
		return made, fmt.Errorf("invalid restart-condition %q: want one of %s", app.Restart, strings.Join(restarts, ", "))
	}
	if app.Delay != "" {
		var err error
		if made.RestartDelay, err = time.ParseDuration(app.Delay); err != nil || made.RestartDelay < 0 {
			return made, fmt.Errorf("invalid restart-delay %q: want a time such as 10s", app.Delay)
		}
	}
	return made, nil
}

func setting(from snapfile.Setting) facts.Setting {
	return facts.Setting{Environment: variables(from.Environment), Chain: from.Chain}
}

func variables(from []snapfile.Variable) []facts.Variable {
	var list []facts.Variable
	for _, v := range from {
		list = append(list, facts.Variable(v))
	}
	return list
}

// hooks adds the hooks of the snap's files, and those among files, which parts copy. It adds the hooks of the snap to files, unless
// that is nil.
func (s *Source) hooks(snap *snapfile.Snap, files map[string]string) {
	s.Watch = append(s.Watch, snapfile.HookFolder(snap.File))
	for _, hook := range snap.Hooks {
		s.Snap.Hooks = append(s.Snap.Hooks, hook.Name)
		if files != nil && hook.File != snap.File {
			files[snapfile.HookFile(hook.Name)] = hook.File
		}
	}
	for path := range files {
		if filepath.Dir(path) == snapfile.HookFile("") {
			s.Snap.Hooks = append(s.Snap.Hooks, filepath.Base(path))
		}
	}
	slices.Sort(s.Snap.Hooks)
	s.Snap.Hooks = slices.Compact(s.Snap.Hooks)
	for _, name := range s.Snap.Hooks {
		kind, plug := snapfile.Split(name)
		if _, declared := s.Snap.Plugs[plug]; kind == "" && !snapfile.Fixed(name) || kind != "" && !declared {
			s.Warnings = append(s.Warnings, fmt.Sprintf("hook %s is of no use: snapd runs no hook of that name, or the snap "+
				"has no such plug", name))
		}
	}
}

// usable returns snapd's error for an unpacked snap that it does not install: programs of apps must exist, and they and the hooks
// must be executable.
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

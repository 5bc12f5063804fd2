package roles

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/internal/regular"
	"aspects-poc/roles/internal/snapenv"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
)

// resolve sets the flags that the command line does not set: from the environment, else from the configuration file.
// Flags already have their defaults. It returns the sources of the flags that it set, worded to follow "invalid
// value".
func (f *frame) resolve(c *cli.Command, ctx *cli.Context, role string) (sources map[string]string, err error) {
	var file *configFile
	sources = map[string]string{}
	// --config comes first, since it names the file.
	for _, flag := range slices.SortedStableFunc(slices.Values(c.Flags), configFirst) {
		name := flag.Names()[0]
		if !f.sourced(c, name) {
			continue
		}
		if !ctx.IsSet(name) {
			variable, err := f.fromEnvironment(ctx, name)
			if err != nil {
				return nil, err
			}
			if variable != "" {
				sources[name] = "in $" + variable
			}
		}
		if name == flagConfig {
			if file, err = f.readConfig(ctx.String(name)); err != nil {
				return nil, err
			}
			continue
		}
		if file == nil || ctx.IsSet(name) {
			continue
		}
		values := file.values(role, name)
		if slice, ok := flag.(cli.DocGenerationSliceFlag); len(values) > 1 && (!ok || !slice.IsSliceFlag()) {
			return nil, fmt.Errorf("invalid value of %q in %s: want one value, not a list of %d", name, file.path, len(values))
		}
		for _, value := range values {
			sources[name] = fmt.Sprintf("for %q in %s", name, file.path)
			if err := ctx.Set(name, value); err != nil {
				return nil, fmt.Errorf("invalid value %q %s: %s", value, sources[name], wanted(flag, err))
			}
		}
	}
	return sources, nil
}

// nameSources replaces the flag in a usage error by the source of the flag's value.
func nameSources(err error, sources map[string]string) error {
	var usage *UsageError
	if !errors.As(err, &usage) || usage.Help != "" || err == errShown {
		return err
	}
	message := err.Error()
	for name, source := range sources {
		flag := regexp.MustCompile("for --" + regexp.QuoteMeta(name) + `(:|\s|$)`)
		message = flag.ReplaceAllStringFunc(message, func(found string) string {
			return source + strings.TrimPrefix(found, "for --"+name)
		})
	}
	if message == err.Error() {
		return err
	}
	return &UsageError{Message: message}
}

func configFirst(a, b cli.Flag) int {
	switch {
	case a.Names()[0] == flagConfig:
		return -1
	case b.Names()[0] == flagConfig:
		return 1
	}
	return 0
}

// sourced reports whether a flag can come from the environment and the file. All flags of a run command can. So can
// the common flags of other commands, and flags that they share with the role's run command: commands look for a
// daemon's state where the daemon keeps it.
func (f *frame) sourced(c *cli.Command, name string) bool {
	if len(name) == 1 || name == "help" || name == "version" {
		return false
	}
	if f.daemons[c] || slices.Contains(f.shared[c], name) {
		return true
	}
	return slices.ContainsFunc(CommonFlags(), func(flag cli.Flag) bool { return flag.Names()[0] == name })
}

// variables returns the environment variables of a flag. The first one that is set counts.
func variables(name string) []string {
	list := []string{"ASPECTS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
	if name == flagAccount {
		list = append(list, "ACCOUNT_ID")
	}
	return list
}

// fromEnvironment sets a flag from its variable. It returns the variable, or "" if none is set.
func (f *frame) fromEnvironment(ctx *cli.Context, name string) (variable string, err error) {
	for _, variable := range variables(name) {
		value := f.env.Getenv(variable)
		if value == "" {
			continue
		}
		if err := ctx.Set(name, value); err != nil {
			return "", Usagef("invalid value %q in $%s: %s", value, variable, wanted(findFlag(ctx.Command, name), err))
		}
		return variable, nil
	}
	return "", nil
}

// A configFile has the settings of a file: flag name -> values, at the top level and in sections named after roles.
type configFile struct {
	path     string
	top      map[string][]string
	sections map[string]map[string][]string
}

// values returns the values of a flag, or nil. A role's section comes before the top level.
func (file *configFile) values(role, name string) []string {
	if values, ok := file.sections[role][name]; ok {
		return values
	}
	return file.top[name]
}

// readConfig reads the file of --config, or the default file if it exists.
func (f *frame) readConfig(path string) (*configFile, error) {
	if path == "-" {
		return nil, nil
	}
	named := path != ""
	if !named {
		if path = f.defaultConfig(); path == "" {
			return nil, nil
		}
	}
	text, err := regular.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if len(root.Content) == 0 {
		return nil, nil // empty, or only comments
	}
	if root.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("cannot read %s: want a map of flag names to values", path)
	}
	var content map[string]yaml.Node
	if err := root.Decode(&content); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return f.parseConfig(path, content)
}

// defaultConfig returns the path of the file that is read without --config; "" if there is none.
func (f *frame) defaultConfig() string {
	if snap := snapenv.Read(f.env.Getenv); snap.Data != "" {
		return filepath.Join(snap.Data, "config.yaml")
	}
	if dir := f.env.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, Program, "config.yaml")
	}
	if home := f.env.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", Program, "config.yaml")
	}
	return ""
}

func (f *frame) parseConfig(path string, content map[string]yaml.Node) (*configFile, error) {
	file := &configFile{path: path, top: map[string][]string{}, sections: map[string]map[string][]string{}}
	known := f.knownKeys()
	all := map[string]bool{}
	for _, keys := range known {
		for key := range keys {
			all[key] = true
		}
	}
	for key, node := range content {
		if keys, section := known[key]; section && node.Kind == yaml.MappingNode {
			if keys == nil { // a role that this binary leaves out
				continue
			}
			var inner map[string]yaml.Node
			if err := node.Decode(&inner); err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", path, err)
			}
			file.sections[key] = map[string][]string{}
			for name, node := range inner {
				if !keys[name] {
					return nil, fmt.Errorf("unknown key %q in section %q of %s%s", name, key, path,
						suggest(name, slices.Sorted(maps.Keys(keys))))
				}
				values, err := scalars(node)
				if err != nil {
					return nil, fmt.Errorf("invalid value of %q in section %q of %s: %w", name, key, path, err)
				}
				file.sections[key][name] = values
			}
			continue
		}
		if !all[key] {
			names := slices.AppendSeq(slices.Collect(maps.Keys(known)), maps.Keys(all))
			slices.Sort(names)
			return nil, fmt.Errorf("unknown key %q in %s%s", key, path, suggest(key, slices.Compact(names)))
		}
		values, err := scalars(node)
		if err != nil {
			return nil, fmt.Errorf("invalid value of %q in %s: %w", key, path, err)
		}
		file.top[key] = values
	}
	return file, nil
}

// scalars returns the text of a scalar, or of each item of a list.
func scalars(node yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var list []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("want a list of plain values")
			}
			list = append(list, item.Value)
		}
		return list, nil
	default:
		return nil, errors.New("want a plain value or a list of them")
	}
}

// knownKeys returns the keys that a file can have, for each role and tool. They are nil for a role that this binary
// leaves out.
func (f *frame) knownKeys() map[string]map[string]bool {
	known := map[string]map[string]bool{}
	for _, role := range f.list {
		command := f.role(role)
		if isElsewhere(command) {
			known[role.Name] = nil
			continue
		}
		keys := map[string]bool{}
		f.collect(command, keys)
		known[role.Name] = keys
	}
	return known
}

func (f *frame) collect(c *cli.Command, keys map[string]bool) {
	if len(c.Subcommands) == 0 {
		for _, flag := range c.Flags {
			if name := flag.Names()[0]; f.sourced(c, name) && name != flagConfig {
				keys[name] = true
			}
		}
	}
	for _, sub := range c.Subcommands {
		f.collect(sub, keys)
	}
}

// roleKey is the key of the running role in an App's metadata.
const roleKey = "role"

// roleOf returns the role or tool of a command.
func roleOf(c *cli.Context) string {
	role, _ := c.App.Metadata[roleKey].(string)
	return role
}

// Package snapctlcmd parses the command line of snapctl as snapd does, and formats its output. Its main types are
// Command and Generation. It has the flags of each version, values, constraints, and the checks before an access to data. Packages
// world/snapctl and machine/older imitate snapd with it, and perform the commands.
package snapctlcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"aspects-poc/internal/jsonvalue"
)

// A Command is a parsed command line.
type Command struct {
	Name       string
	Help       bool                // only Generation.Usage is wanted
	Flags      map[string][]string // given flags and their values
	Positional []string
	// Wait is the value of --wait-for, or negative if it was not given.
	Wait time.Duration
}

// Has reports whether a flag was given.
func (c *Command) Has(flag string) bool { return len(c.Flags[flag]) > 0 }

// free lists the commands for every user; the others are for root.
var free = []string{"get", "services", "set-health", "is-connected", "system-mode", "model", "version"}

// A DeniedError means that a user other than root gave a command for root.
type DeniedError struct {
	Command string
	UID     int
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("cannot use %q with uid %d, try with sudo", e.Command, e.UID)
}

// Parse parses the command line of a user. Like snapd, it accepts flags anywhere before "--". Its errors have
// snapctl's texts; one is a *DeniedError.
func Parse(g Generation, uid int, args []string) (*Command, error) {
	name := args[0]
	if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return &Command{Name: name, Help: true}, nil
	}
	if uid != 0 && !slices.Contains(free, name) {
		return nil, &DeniedError{Command: name, UID: uid}
	}
	if !slices.Contains(g.Commands(), name) {
		text := fmt.Sprintf("Unknown command `%s'. Please specify one command of: %s", name, list(g.Commands()))
		return nil, errors.New(text)
	}
	return parse(g, args)
}

// Viewed reports whether a get or set accesses confdb. It does so with --view and a plug with its colon: without the colon, snapd reads
// the plug as the name of an option.
func (c *Command) Viewed() bool {
	return c.Has("view") && len(c.Positional) > 0 && strings.HasPrefix(c.Positional[0], ":")
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func parse(g Generation, args []string) (*Command, error) {
	c := &Command{Name: args[0], Wait: -1, Flags: map[string][]string{}}
	known := g.Flags(c.Name)
	rest := args[1:]
	for len(rest) > 0 {
		argument := rest[0]
		rest = rest[1:]
		switch {
		case argument == "--":
			c.Positional = append(c.Positional, rest...)
			rest = nil
		case strings.HasPrefix(argument, "-") && argument != "-":
			flag, value, given := strings.Cut(strings.TrimLeft(argument, "-"), "=")
			takes, ok := known[flag]
			if !ok || strings.HasPrefix(argument, "--") == (len(flag) == 1) {
				return nil, fmt.Errorf("unknown flag `%s'", flag)
			}
			if given && !takes {
				return nil, fmt.Errorf("bool flag `%s' cannot have an argument", flagName(flag))
			}
			if takes && !given {
				if len(rest) == 0 {
					return nil, fmt.Errorf("expected argument for flag `--%s'", flag)
				}
				value, rest = rest[0], rest[1:]
			}
			c.Flags[flag] = append(c.Flags[flag], value)
		default:
			c.Positional = append(c.Positional, argument)
		}
	}
	return c, c.wait()
}

// flagName returns a flag with its dashes.
func flagName(flag string) string {
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// wait sets Wait from --wait-for.
func (c *Command) wait() error {
	if given := c.Flags["wait-for"]; len(given) > 0 {
		wait, err := time.ParseDuration(given[len(given)-1])
		if err != nil {
			return fmt.Errorf("invalid argument for flag `--wait-for' (expected time.Duration): %w", err)
		}
		if wait < 0 {
			return errors.New("cannot use negative duration with --wait-for")
		}
		c.Wait = wait
	}
	return nil
}

// Value parses the text after the "=" of a pair. It is JSON if it parses as JSON, otherwise a string. With -s it is
// always a string, and with -t always JSON.
func (c *Command) Value(text string) (any, error) {
	if c.Has("s") {
		return text, nil
	}
	var value any
	if err := jsonvalue.Decode([]byte(text), &value); err != nil {
		if c.Has("t") {
			return nil, fmt.Errorf("failed to parse JSON: %w", err)
		}
		return text, nil
	}
	return value, nil
}

// Pairs parses KEY=VALUE and KEY!. If a key occurs twice, the last pair counts.
func (c *Command) Pairs(arguments []string) (map[string]any, error) {
	values := map[string]any{}
	for _, argument := range arguments {
		key, text, found := strings.Cut(argument, "=")
		if !found && strings.HasSuffix(argument, "!") && argument != "!" {
			values[strings.TrimSuffix(argument, "!")] = nil
			continue
		}
		if !found || key == "" {
			return nil, fmt.Errorf("invalid configuration: %q (want key=value)", argument)
		}
		value, err := c.Value(text)
		if err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

// Unset parses the arguments of unset, :PLUG PATH..., and returns the paths with nil values.
func (c *Command) Unset() (map[string]any, error) {
	if len(c.Positional) == 0 || !strings.HasPrefix(c.Positional[0], ":") {
		given := strings.Join(c.Positional, " ")
		return nil, fmt.Errorf("cannot unset confdb: plug must conform to format \":<plug-name>\": %s", given)
	}
	if len(c.Positional) == 1 {
		return nil, errors.New("cannot unset confdb: no paths provided to unset")
	}
	values := map[string]any{}
	for _, path := range c.Positional[1:] {
		values[path] = nil
	}
	return values, nil
}

// Print formats the result of get according to the flags.
func (c *Command) Print(values map[string]any, keys []string) (string, error) {
	var value any = values
	if len(keys) == 1 && !c.Has("d") {
		value = values[keys[0]]
	}
	if text, ok := value.(string); ok && !c.Has("t") {
		return text + "\n", nil
	}
	if value == nil && !c.Has("t") {
		return "\n", nil
	}
	return Indented(value)
}

// Indented formats JSON as snapctl does.
func Indented(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return text.String(), nil
}

// Constraints parses the --with flags.
func (c *Command) Constraints() (map[string]any, error) {
	if !c.Has("with") {
		return nil, nil
	}
	constraints := map[string]any{}
	for _, given := range c.Flags["with"] {
		parameter, text, found := strings.Cut(given, "=")
		if !found || parameter == "" || text == "" {
			return nil, fmt.Errorf("--with constraints must be in the form <parameter>=<constraint> but got %q", given)
		}
		value, err := c.Value(text)
		if err != nil {
			return nil, err
		}
		switch value.(type) {
		case nil, []any, map[string]any:
			return nil, fmt.Errorf("--with constraint cannot take non-scalar JSON constraint: %s", text)
		}
		constraints[parameter] = value
	}
	return constraints, nil
}

// A Service is a line in the output of `snapctl services`.
type Service struct {
	Name             string // SNAP.SERVICE
	Disabled, Active bool
	Timer            bool
}

// Services formats the output of `snapctl services`. It is empty without services.
func Services(list []Service) string {
	if len(list) == 0 {
		return ""
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 5, 3, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "Service\tStartup\tCurrent\tNotes") // writes into memory
	for _, s := range list {
		startup, current, notes := "enabled", "inactive", "-"
		if s.Disabled {
			startup = "disabled"
		}
		if s.Active {
			current = "active"
		}
		if s.Timer {
			notes = "timer-activated"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, startup, current, notes)
	}
	_ = table.Flush()
	return text.String()
}

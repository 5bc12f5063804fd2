package fakesnapctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/internal/snapdhttp"
)

// A command is a parsed command line.
type command struct {
	name       string
	flags      map[string][]string // values of each flag that was given
	positional []string
	wait       time.Duration
}

func (c *command) has(flag string) bool { return len(c.flags[flag]) > 0 }

// free lists the commands that any user may use; the others are root's.
var free = []string{"get", "services", "set-health", "is-connected", "system-mode", "model", "version"}

// run runs one command of the caller with this cookie and returns what it prints.
func (s *Server) run(ctx context.Context, cookie string, args []string) (string, error) {
	d := s.current()
	name := args[0]
	if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return d.usage(name), nil
	}
	s.mu.Lock()
	uid := s.uid
	caller, known := s.contexts[cookie]
	s.mu.Unlock()
	if uid != 0 && !slices.Contains(free, name) {
		return "", &deniedError{command: name, uid: uid}
	}
	if !slices.Contains(d.commands(), name) {
		text := fmt.Sprintf("Unknown command `%s'. Please specify one command of: %s", name, list(d.commands()))
		return "", errors.New(text)
	}
	c, err := parse(d, args)
	if err != nil {
		return "", err
	}
	if name == "version" {
		return fmt.Sprintf("snapd   %s\nseries  16\n", d.version), nil
	}
	if !known {
		return "", fmt.Errorf("cannot invoke snapctl operation commands (here %q) from outside of a snap", name)
	}
	switch {
	case name == "get" && c.viewed():
		return s.get(ctx, d, caller, c)
	case name == "set" && c.viewed():
		return "", s.set(ctx, d, caller, c)
	case name == "unset" && c.has("view"):
		return "", s.unset(ctx, d, caller, c)
	case name == "get":
		return s.getConfig(c)
	case name == "set", name == "unset":
		return "", s.setConfig(c)
	case name == "fail":
		return "", s.fail(caller, c)
	case name == "is-connected":
		return s.isConnected(c)
	case name == "services":
		return s.listServices(c)
	default: // start, stop, restart
		return "", s.restart(c)
	}
}

// viewed tells whether a get or set goes to a confdb: --view is not enough, since a plug that is named without its
// colon is taken for the name of an option.
func (c *command) viewed() bool {
	return c.has("view") && len(c.positional) > 0 && strings.HasPrefix(c.positional[0], ":")
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// parse reads a command line as go-flags does: flags anywhere before "--".
func parse(d dialect, args []string) (*command, error) {
	c := &command{name: args[0], flags: map[string][]string{}}
	known := d.flags(c.name)
	rest := args[1:]
	for len(rest) > 0 {
		argument := rest[0]
		rest = rest[1:]
		switch {
		case argument == "--":
			c.positional = append(c.positional, rest...)
			rest = nil
		case strings.HasPrefix(argument, "-") && argument != "-":
			flag, value, given := strings.Cut(strings.TrimLeft(argument, "-"), "=")
			takes, ok := known[flag]
			if !ok || strings.HasPrefix(argument, "--") == (len(flag) == 1) {
				return nil, fmt.Errorf("unknown flag `%s'", flag)
			}
			if takes && !given {
				if len(rest) == 0 {
					return nil, fmt.Errorf("expected argument for flag `--%s'", flag)
				}
				value, rest = rest[0], rest[1:]
			}
			c.flags[flag] = append(c.flags[flag], value)
		default:
			c.positional = append(c.positional, argument)
		}
	}
	c.wait = 10 * time.Minute
	if given := c.flags["wait-for"]; len(given) > 0 {
		wait, err := time.ParseDuration(given[len(given)-1])
		if err != nil {
			return nil, fmt.Errorf("invalid argument for flag `--wait-for' (expected time.Duration): %w", err)
		}
		if wait < 0 {
			return nil, errors.New("cannot use negative duration with --wait-for")
		}
		c.wait = wait
	}
	return c, nil
}

// value reads what stands behind the "=" of a pair: JSON where it is some, unless the flags say otherwise.
func (c *command) value(text string) (any, error) {
	if c.has("s") {
		return text, nil
	}
	var value any
	if err := snapdhttp.Decode([]byte(text), &value); err != nil {
		if c.has("t") {
			return nil, fmt.Errorf("failed to parse JSON: %w", err)
		}
		return text, nil
	}
	return value, nil
}

// pairs reads KEY=VALUE and KEY!; of two pairs for one key the last counts.
func (c *command) pairs(arguments []string) (map[string]any, error) {
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
		value, err := c.value(text)
		if err != nil {
			return nil, err
		}
		values[key] = value
	}
	return values, nil
}

// print formats what get found, as the flags want it.
func (c *command) print(values map[string]any, keys []string) (string, error) {
	var value any = values
	if len(keys) == 1 && !c.has("d") {
		value = values[keys[0]]
	}
	if text, ok := value.(string); ok && !c.has("t") {
		return text + "\n", nil
	}
	if value == nil && !c.has("t") {
		return "\n", nil
	}
	return indented(value)
}

func indented(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "\t")
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return text.String(), nil
}

func (s *Server) getConfig(c *command) (string, error) {
	if c.has("d") && c.has("t") {
		return "", errors.New("cannot use -d and -t together")
	}
	if len(c.positional) == 0 {
		return "", errors.New("get which option?")
	}
	s.mu.Lock()
	found := map[string]any{}
	for _, key := range c.positional {
		if value, ok := s.config[key]; ok {
			found[key] = value
		}
	}
	s.mu.Unlock()
	return c.print(found, c.positional)
}

func (s *Server) setConfig(c *command) error {
	if c.name == "unset" {
		s.change(func() {
			for _, key := range c.positional {
				delete(s.config, key)
			}
		})
		return nil
	}
	values, err := c.pairs(c.positional)
	if err != nil {
		return fmt.Errorf("cannot set snap %q options: %w", s.snap, err)
	}
	s.change(func() {
		for key, value := range values {
			if s.config[key] = value; value == nil {
				delete(s.config, key)
			}
		}
	})
	return nil
}

func (s *Server) isConnected(c *command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.has("list") {
		var text strings.Builder
		for _, plug := range sorted(s.connected) {
			if s.connected[plug] {
				fmt.Fprintln(&text, plug)
			}
		}
		return text.String(), nil
	}
	if len(c.positional) != 1 {
		return "", errors.New("must specify either a plug/slot name or --list")
	}
	if _, found := s.plugs[c.positional[0]]; !found {
		return "", fmt.Errorf("snap %q has no plug or slot named %q", s.snap, c.positional[0])
	}
	if !s.connected[c.positional[0]] {
		return "", &exitError{code: 1}
	}
	return "", nil
}

func (s *Server) listServices(c *command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range c.positional {
		if _, found := s.services[service]; !found {
			return "", fmt.Errorf("unknown service: %q", service)
		}
	}
	text := "Service    Startup  Current   Notes\n"
	for _, service := range sorted(s.services) {
		if len(c.positional) > 0 && !slices.Contains(c.positional, service) {
			continue
		}
		state := "active"
		if s.stopped[service] {
			state = "inactive"
		}
		text += fmt.Sprintf("%-10s enabled  %-8s  -\n", service, state)
	}
	return text, nil
}

func (s *Server) restart(c *command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range c.positional {
		if _, found := s.services[service]; !found {
			return fmt.Errorf("unknown service: %q", service)
		}
	}
	for _, service := range c.positional {
		if c.name == "restart" {
			s.services[service]++
		}
	}
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

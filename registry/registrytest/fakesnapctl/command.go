package fakesnapctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/internal/snapctlcmd"
)

// run runs one command of the caller with this cookie and returns what it prints.
func (s *Server) run(ctx context.Context, cookie string, args []string) (string, error) {
	d := s.current()
	s.mu.Lock()
	uid := s.uid
	caller, known := s.contexts[cookie]
	s.mu.Unlock()
	c, err := snapctlcmd.Parse(d, uid, args)
	if err != nil {
		return "", err
	}
	name := c.Name
	switch {
	case c.Help:
		return d.Usage(name), nil
	case name == "version":
		return fmt.Sprintf("snapd   %s\nseries  16\n", d.Version), nil
	case !known:
		return "", fmt.Errorf("cannot invoke snapctl operation commands (here %q) from outside of a snap", name)
	}
	if c.Wait < 0 {
		c.Wait = 10 * time.Minute
	}
	switch {
	case name == "get" && c.Viewed():
		return s.get(ctx, d, caller, c)
	case name == "set" && c.Viewed():
		return "", s.set(ctx, d, caller, c)
	case name == "unset" && c.Has("view"):
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

func (s *Server) getConfig(c *snapctlcmd.Command) (string, error) {
	if c.Has("d") && c.Has("t") {
		return "", errors.New("cannot use -d and -t together")
	}
	if len(c.Positional) == 0 {
		return "", errors.New("get which option?")
	}
	s.mu.Lock()
	found := map[string]any{}
	for _, key := range c.Positional {
		if value, ok := s.config[key]; ok {
			found[key] = value
		}
	}
	s.mu.Unlock()
	return c.Print(found, c.Positional)
}

func (s *Server) setConfig(c *snapctlcmd.Command) error {
	if c.Name == "unset" {
		s.change(func() {
			for _, key := range c.Positional {
				delete(s.config, key)
			}
		})
		return nil
	}
	values, err := c.Pairs(c.Positional)
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

func (s *Server) isConnected(c *snapctlcmd.Command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Has("list") {
		var text strings.Builder
		for _, plug := range sorted(s.connected) {
			if s.connected[plug] {
				fmt.Fprintln(&text, plug)
			}
		}
		return text.String(), nil
	}
	if len(c.Positional) != 1 {
		return "", errors.New("must specify either a plug/slot name or --list")
	}
	if _, found := s.plugs[c.Positional[0]]; !found {
		return "", fmt.Errorf("snap %q has no plug or slot named %q", s.snap, c.Positional[0])
	}
	if !s.connected[c.Positional[0]] {
		return "", &exitError{code: 1}
	}
	return "", nil
}

func (s *Server) listServices(c *snapctlcmd.Command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range c.Positional {
		if _, found := s.services[service]; !found {
			return "", fmt.Errorf("unknown service: %q", service)
		}
	}
	var list []snapctlcmd.Service
	for _, service := range sorted(s.services) {
		if len(c.Positional) == 0 || slices.Contains(c.Positional, service) {
			list = append(list, snapctlcmd.Service{Name: service, Active: !s.stopped[service]})
		}
	}
	return snapctlcmd.Services(list), nil
}

func (s *Server) restart(c *snapctlcmd.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range c.Positional {
		if _, found := s.services[service]; !found {
			return fmt.Errorf("unknown service: %q", service)
		}
	}
	for _, service := range c.Positional {
		if c.Name == "restart" {
			s.services[service]++
		}
	}
	return nil
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

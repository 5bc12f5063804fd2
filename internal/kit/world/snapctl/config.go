package snapctl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/snapctlcmd"
)

func (from *caller) getConfig(c *snapctlcmd.Command) (string, error) {
	if c.Has("d") && c.Has("t") {
		return "", errors.New("cannot use -d and -t together")
	}
	if len(c.Positional) == 0 {
		return "", errors.New("get which option?")
	}
	if strings.HasPrefix(c.Positional[0], ":") {
		return from.attributes(c)
	}
	config := from.now.Config(from.snap.Instance())
	if from.hook != nil {
		var err error
		if config, err = from.hook.Options(from.now); err != nil {
			return "", err
		}
	}
	found := map[string]any{}
	for _, key := range c.Positional {
		if value, ok := facts.Option(config, key); ok {
			found[key] = value
		}
	}
	return c.Print(found, c.Positional)
}

// attributes reads attributes of a plug. Only hooks that connect or disconnect the plug may do so.
func (from *caller) attributes(c *snapctlcmd.Command) (string, error) {
	name := strings.TrimPrefix(c.Positional[0], ":")
	if h := from.hook; h == nil || !slices.Contains([]string{"prepare-plug-" + name, "connect-plug-" + name,
		"disconnect-plug-" + name, "unprepare-plug-" + name}, h.Hook) {
		return "", errors.New("interface attributes can only be read during the execution of interface hooks")
	}
	plug := from.snap.Plugs[name]
	known := map[string]any{"account": plug.Account, "view": plug.View}
	if plug.Role != "" {
		known["role"] = plug.Role
	}
	found := map[string]any{}
	for _, name := range c.Positional[1:] {
		value, there := known[name]
		if !there {
			return "", fmt.Errorf("unknown attribute %q", name)
		}
		found[name] = value
	}
	return c.Print(found, c.Positional[1:])
}

// setConfig sets options. A call from a hook takes effect at the end of the hook, one from an app at once.
func (e *Endpoint) setConfig(from *caller, c *snapctlcmd.Command) error {
	values := map[string]any{}
	switch {
	case c.Name == "set" && len(c.Positional) == 0:
		return errors.New("set which option?")
	case c.Name == "set" && strings.HasPrefix(c.Positional[0], ":"):
		return errors.New("interface attributes can only be set during the execution of prepare hooks")
	case c.Name == "set":
		var err error
		if values, err = c.Pairs(c.Positional); err != nil {
			return err
		}
	default:
		for _, key := range c.Positional {
			values[key] = nil
		}
	}
	if from.hook != nil {
		return from.hook.Configure(from.now, values)
	}
	return e.facts.Update(func(d *facts.Draft) error {
		_, err := d.Configure(from.snap.Instance(), values)
		return err
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

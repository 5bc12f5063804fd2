package registrycmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func set(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "set", Usage: "write values in one transaction", ArgsUsage: "VIEW KEY=VALUE|KEY! …",
		Description: "Writes all values through a view, or none of them. A value is JSON if it is valid JSON, else a " +
			"string; KEY! unsets. Flags may follow the arguments. " + viewForms,
		UsageText: "aspects-poc registry set control-telemetry sample-rate=4 monitor-peers!\n" +
			"aspects-poc registry set control-tunnel 'peers=[\"10.0.0.7\"]'",
		SkipFlagParsing: true,
		Flags: registryFlags(
			&cli.BoolFlag{Name: "typed", Aliases: []string{"t"}, Usage: "values must be JSON"},
			&cli.BoolFlag{Name: "string", Aliases: []string{"s"}, Usage: "values are strings"},
		),
		Action: func(c *cli.Context) error { return runSet(env, c) },
	}
}

func runSet(env *roles.Env, c *cli.Context) error {
	name, words, err := viewAndKeys(c)
	if err != nil {
		return err
	}
	if c.Bool("typed") && c.Bool("string") {
		return roles.Usagef("cannot use -t and -s together")
	}
	if len(words) == 0 {
		return roles.Usagef("nothing to set: want KEY=VALUE, or KEY! to unset")
	}
	values := map[string]any{}
	for _, word := range words {
		key, value, err := parseAssignment(word, valueMode(c.Bool("typed"), c.Bool("string")))
		if err != nil {
			return err
		}
		values[key] = value
	}
	return within(env, c, func(ctx context.Context, reg *registry.Registry) error {
		view, err := viewNamed(ctx, c, reg, name)
		if err != nil {
			return err
		}
		if err := refuseEmpty(view.ID(), values); err != nil {
			return err
		}
		return view.Set(ctx, values)
	})
}

// refuseEmpty returns an error for empty lists and maps, as snap set does. The library unsets the value instead, but at
// a prompt an empty value is probably a mistake.
func refuseEmpty(view registry.ViewID, values map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list, isList := values[key].([]any)
		object, isObject := values[key].(map[string]any)
		if isList && len(list) == 0 || isObject && len(object) == 0 {
			return &registry.Error{Op: "set", View: view, Requests: []string{key}, Kind: registry.ErrBadRequest,
				Message: fmt.Sprintf(`cannot set "%s" through confdb view %s: `+
					"cannot set empty container: must contain at least one scalar", key, view),
				Remedy: key + "! to unset it"}
		}
	}
	return nil
}

// parseAssignment parses KEY=VALUE. For KEY! the value is nil.
func parseAssignment(word string, mode parseMode) (key string, value any, err error) {
	if key, found := strings.CutSuffix(word, "!"); found && key != "" && !strings.Contains(key, "=") {
		return key, nil, nil
	}
	key, text, err := splitPair(word)
	if err != nil {
		return "", nil, roles.Usagef("invalid configuration: %q (want key=value)", word)
	}
	if value, err = parseValue(text, mode); err != nil {
		return "", nil, roles.Usagef("invalid parameter: %q: %v", word, err)
	}
	return key, value, nil
}

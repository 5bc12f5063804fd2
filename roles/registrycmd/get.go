package registrycmd

import (
	"context"
	"errors"
	"slices"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func get(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "print values", ArgsUsage: "VIEW [KEY …]",
		Description: "Prints the values of the keys in a view, or the whole view without keys. For one key it prints " +
			"the value, a string without quotes. Several keys and maps are a table on a terminal, and a JSON " +
			"document elsewhere. Flags may follow the arguments. " + viewForms,
		UsageText: "aspects-poc registry get control-tunnel peers\n" +
			"aspects-poc registry get control-telemetry -d\n" +
			"aspects-poc registry get observe-interfaces packets-sent -l",
		SkipFlagParsing: true, // flags may stand behind arguments, as with snap get
		Flags: registryFlags(
			&cli.BoolFlag{Name: "document", Aliases: []string{"d"}, Usage: "always a document, with each key"},
			&cli.BoolFlag{Name: "list", Aliases: []string{"l"}, Usage: "always a table with a row for each value"},
			&cli.BoolFlag{Name: "typed", Aliases: []string{"t"}, Usage: "always JSON: strings have quotes"},
			&cli.StringFlag{Name: "default", Usage: "`VALUE` to print where there is no data"},
			&cli.StringSliceFlag{Name: "with", Usage: "`PARAMETER=VALUE` that the data must match; may be repeated"},
		),
		Action: func(c *cli.Context) error { return runGet(env, c) },
	}
}

func runGet(env *roles.Env, c *cli.Context) error {
	name, keys, err := viewAndKeys(c)
	if err != nil {
		return err
	}
	shape, err := chooseShape(c)
	if err != nil {
		return err
	}
	constraints, err := parseConstraints(c.StringSlice("with"), shape == typed)
	if err != nil {
		return err
	}
	var fallback any
	if c.IsSet("default") {
		if len(keys) > 1 {
			return roles.Usagef("cannot use --default with more than one confdb request")
		}
		if fallback, err = parseValue(c.String("default"), valueMode(shape == typed, false)); err != nil {
			return roles.Usagef("invalid value for --default: %v", err)
		}
	}
	terminal := roles.IsTerminal(env.Stdout)
	return within(env, c, func(ctx context.Context, reg *registry.Registry) error {
		view, err := viewNamed(ctx, c, reg, name)
		if err != nil {
			return err
		}
		document, err := view.GetWith(ctx, constraints, keys...)
		if errors.Is(err, registry.ErrNoData) && c.IsSet("default") {
			if len(keys) == 0 {
				return printValue(env.Stdout, fallback, shape, terminal)
			}
			document, err = map[string]any{keys[0]: fallback}, nil
		}
		if err != nil {
			return err
		}
		return printDocument(env.Stdout, document, keys, shape, terminal, env.Paint(env.Stdout))
	})
}

func chooseShape(c *cli.Context) (outputShape, error) {
	var chosen []outputShape
	for _, shape := range []outputShape{document, list, typed} {
		if c.Bool(shape.flag()) {
			chosen = append(chosen, shape)
		}
	}
	switch {
	case len(chosen) == 0:
		return fitting, nil
	case len(chosen) > 1:
		return fitting, roles.Usagef("cannot use -%c and -%c together", chosen[0].flag()[0], chosen[1].flag()[0])
	}
	return chosen[0], nil
}

// parseConstraints reads PARAMETER=VALUE words. The engine checks the values.
func parseConstraints(words []string, strict bool) (map[string]any, error) {
	if len(words) == 0 {
		return nil, nil
	}
	constraints := map[string]any{}
	for _, word := range words {
		name, text, err := splitPair(word)
		if err != nil {
			return nil, roles.Usagef("invalid value %q for --with: want PARAMETER=VALUE", word)
		}
		if constraints[name], err = parseValue(text, valueMode(strict, false)); err != nil {
			return nil, roles.Usagef("invalid value %q for --with: %v", word, err)
		}
	}
	return constraints, nil
}

// keysOf lists a document's keys in sorted order.
func keysOf(document map[string]any) []string {
	keys := make([]string, 0, len(document))
	for key := range document {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

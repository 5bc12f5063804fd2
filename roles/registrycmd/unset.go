package registrycmd

import (
	"context"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func unset(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "unset", Usage: "remove values in one transaction", ArgsUsage: "VIEW KEY …",
		Description: "Removes the values of all keys in a view, or none of them. Removing a value that is not there " +
			"succeeds. Flags may follow the arguments. " + viewForms,
		UsageText:       "aspects-poc registry unset control-interfaces config.wlan0 stats.wlan0",
		SkipFlagParsing: true,
		Flags:           registryFlags(),
		Action: func(c *cli.Context) error {
			name, keys, err := viewAndKeys(c)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				return roles.Usagef("nothing to unset: want one KEY or more")
			}
			return within(env, c, func(ctx context.Context, reg *registry.Registry) error {
				view, err := viewNamed(ctx, c, reg, name)
				if err != nil {
					return err
				}
				return view.Unset(ctx, keys...)
			})
		},
	}
}

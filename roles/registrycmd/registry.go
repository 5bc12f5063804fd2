// Package registrycmd is the registry command: it reads, writes, watches and explains registries from the command line,
// in the forms of snap get, set and unset. Its main entry is Role. What the words mean is package registry's business,
// how a command comes to its flags that of package roles.
//
// One file per subcommand, and one line in subcommands.
package registrycmd

import (
	"context"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// Role is the registry command.
var Role = roles.Role{
	Name:    "registry",
	Summary: "read, write and watch configuration through confdb views",
	Tool:    true,
	Command: command,
}

// subcommands are what can be done with a registry.
func subcommands(env *roles.Env) []*cli.Command {
	return []*cli.Command{
		get(env),
		set(env),
		unset(env),
		watch(env),
		status(env),
		assertion(env),
		lintCommand(env),
		build(env),
		show(env),
		newCommand(env),
		serve(env),
		dev(env),
		test(env),
	}
}

func command(env *roles.Env) *cli.Command {
	return &cli.Command{
		Description: viewForms,
		UsageText:   "aspects-poc registry get control-telemetry -d",
		Subcommands: subcommands(env),
	}
}

// viewForms tells how views are named; all help texts of commands with a VIEW have it.
const viewForms = "A view is named VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW; --account-id and --schema complete the\n" +
	"shorter forms."

const flagWaitFor = "wait-for"

// waitFor is the flag that says how long to wait for others.
func waitFor() cli.Flag {
	return &cli.DurationFlag{Name: flagWaitFor, Value: 30 * time.Second, Usage: "`DURATION` to wait at most for others " +
		"who hold the confdb"}
}

// open opens the registry that the flags of a command choose. The caller closes it.
func open(ctx context.Context, env *roles.Env, c *cli.Context) (*registry.Registry, error) {
	settings, err := roles.NewSettings(env, c)
	if err != nil {
		return nil, err
	}
	options := settings.Options()
	options.AccessTimeout = c.Duration(flagWaitFor)
	if options.AccessTimeout < 0 {
		return nil, roles.Usagef("invalid value %q for --%s: must not be negative", options.AccessTimeout, flagWaitFor)
	}
	return env.Open(ctx, settings.Registry, options)
}

// within runs what needs an open registry, and closes it.
func within(env *roles.Env, c *cli.Context, do func(ctx context.Context, reg *registry.Registry) error) (err error) {
	reg, err := open(c.Context, env, c)
	if err != nil {
		return err
	}
	defer func() {
		if closed := reg.Close(); err == nil {
			err = closed
		}
	}()
	return do(c.Context, reg)
}

// viewAndKeys takes a command's arguments apart.
func viewAndKeys(c *cli.Context) (view string, keys []string, err error) {
	args := roles.Args(c)
	if len(args) == 0 {
		return "", nil, roles.Usagef("no view given")
	}
	return args[0], args[1:], nil
}

// Package registrycmd is the registry command: it reads, writes, watches and explains registries from the command line,
// in the forms of snap get, set and unset. Its main function is New. Package registry does the work, package roles
// resolves the flags, and package kitcmd has the subcommands of the development kit.
//
// One file per subcommand, and one line in command.
package registrycmd

import (
	"cmp"
	"context"
	"slices"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// New returns the registry command, with more subcommands after its own.
func New(more ...func(env *roles.Env) []*cli.Command) roles.Role {
	return roles.Role{
		Name:    "registry",
		Summary: "read, write and watch configuration through confdb views",
		Tool:    true,
		Command: func(env *roles.Env) *cli.Command { return command(env, more) },
		Words:   completeViews,
	}
}

func command(env *roles.Env, more []func(env *roles.Env) []*cli.Command) *cli.Command {
	commands := []*cli.Command{get(env), set(env), unset(env), watch(env), status(env)}
	for _, more := range more {
		commands = slices.Concat(commands, more(env))
	}
	return &cli.Command{
		Description: viewForms,
		UsageText:   "aspects-poc registry get control-telemetry -d",
		Subcommands: commands,
	}
}

// viewForms tells how views are named; all help texts of commands with a VIEW have it.
const viewForms = "VIEW may also be SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW. --account-id and --schema complete the shorter\n" +
	"forms; if --schema-file has one confdb-schema, that does."

const flagWaitFor = "wait-for"

// waitFor is the flag that says how long to wait for others.
func waitFor() cli.Flag {
	return &cli.DurationFlag{Name: flagWaitFor, Value: 30 * time.Second, Usage: "longest `DURATION` to wait for other " +
		"users of the confdb"}
}

const flagSchemaFile = "schema-file"

// registryFlags are the flags of a command that opens a registry, after its own.
func registryFlags(own ...cli.Flag) []cli.Flag {
	own = append(own, &cli.StringSliceFlag{Name: flagSchemaFile, Usage: "`FILE` with a confdb-schema (YAML, JSON or " +
		"assertions) for a registry in a file or in memory, in the place of the roles'; may be repeated"}, waitFor())
	return append(own, roles.CommonFlags()...)
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
	files := c.StringSlice(flagSchemaFile)
	if len(files) == 0 {
		return env.Open(ctx, settings.Registry, options)
	}
	if options.Schemas, err = readSchemaFiles(files, settings.Account); err != nil {
		return nil, err
	}
	// What was not asked for by a flag, the schemas tell.
	if !c.IsSet("account-id") {
		options.Account = ""
	}
	if !c.IsSet("schema") {
		options.Schema = ""
	}
	reg, err := env.Open(ctx, settings.Registry, options)
	if err != nil {
		return nil, err
	}
	status, err := reg.Status(ctx)
	if err == nil && status.Backend != "file" && status.Backend != "mem" {
		err = roles.Usagef("cannot use --%s with %s: snapd knows confdb-schemas from signed assertions only "+
			"(try: snap ack FILE and no --%[1]s, or --registry file:PATH)", flagSchemaFile, status.Backend)
	}
	if err != nil {
		_ = reg.Close() // nothing was done with it
		return nil, err
	}
	return reg, nil
}

// readSchemaFiles reads confdb-schemas, of which those that name no account get this one.
func readSchemaFiles(files []string, account string) ([]registry.Schema, error) {
	var schemas []registry.Schema
	for _, file := range files {
		read, err := registry.ReadSchemas(file)
		if err != nil {
			return nil, err
		}
		for _, schema := range read {
			schema.Account = cmp.Or(schema.Account, account)
			schemas = append(schemas, schema)
		}
	}
	return schemas, nil
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

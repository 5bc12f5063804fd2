// Package registrycmd is the registry command: it reads, writes and watches registries from the command line, and
// prints their status, in the forms of snap get, set and unset. Its main function is New. Package registry does the
// work, package roles resolves the flags, and package kitcmd has the subcommands of the development kit.
//
// Each subcommand has a file of its own, and a line in command.
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

// New returns the registry command. It appends the subcommands of more to its own.
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

// viewForms explains how views are named, for the help of all commands with a VIEW.
const viewForms = "VIEW may also be SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW. --account-id and --schema complete the shorter\n" +
	"forms; if --schema-file has one confdb-schema, that does."

const flagWaitFor = "wait-for"

// waitFor returns the flag for the longest wait for other writers.
func waitFor() cli.Flag {
	return &cli.DurationFlag{Name: flagWaitFor, Value: 30 * time.Second, Usage: "longest `DURATION` to wait for other " +
		"users of the confdb"}
}

const flagSchemaFile = "schema-file"

// registryFlags returns a command's own flags and those of a command that opens a registry.
func registryFlags(own ...cli.Flag) []cli.Flag {
	own = append(own, &cli.StringSliceFlag{Name: flagSchemaFile, Usage: "`FILE` with a confdb-schema (YAML, JSON or " +
		"assertions) for a registry in a file or in memory, in the place of the roles'; may be repeated"}, waitFor())
	return append(own, roles.CommonFlags()...)
}

// open opens the registry of a command's flags. The caller closes it.
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
	// Account and confdb-schema come from the schemas unless flags give them.
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
		_ = reg.Close() // not used
		return nil, err
	}
	return reg, nil
}

// readSchemaFiles reads confdb-schemas from files. A schema without an account gets this one.
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

// within opens the registry, runs do, and closes the registry.
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

// viewAndKeys returns a command's arguments: a view and keys. It returns a usage error without a view.
func viewAndKeys(c *cli.Context) (view string, keys []string, err error) {
	args := roles.Args(c)
	if len(args) == 0 {
		return "", nil, roles.Usagef("no view given")
	}
	return args[0], args[1:], nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"

	"github.com/urfave/cli/v2"
)

// secretCommand returns the commands for named secrets and for the key of all secrets.
func secretCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "secret", Usage: "set, list and delete named secrets; change the key of all secrets",
		Description: "A layer of a target refers to a named secret with {\"$secret\":\"NAME\"} in the place of a value that the " +
			"confdb-schema marks as secret. The commands change the database, whether the server runs or not; a running server " +
			"notices it within a second. They need the key file, the database and the confdb-schema of the server, and read " +
			"--state, --database, --secret-key-file and --target-schema from the same environment and configuration file as run.",
		UsageText:   "aspects-poc server secret set vpn --file vpn.key\naspects-poc server secret list",
		Subcommands: []*cli.Command{secretSet(env), secretList(env), secretDelete(env), secretRotate(env)},
	}
}

func secretRotate(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "rotate", Usage: "seal all secrets in the database with a new key",
		Description: "Puts a new key before those in the key file, and seals all secrets with it. Stop all servers on the database " +
			"first, and give each a copy of the new key file before it starts again. If the command is interrupted, the server " +
			"seals the rest when it starts. The former keys stay in the file, for earlier backups: delete their lines when you do " +
			"not need them any more. With --given the key file already has the new key in its first line: use it for a file that " +
			"the command cannot write, and for servers that run on with both keys. With --lost the command removes the secrets " +
			"that no key in the file opens, and prints where they were: set these layers and named secrets again. " +
			"Devices keep the values that they have.",
		UsageText: "aspects-poc server secret rotate",
		Flags: secretFlags(
			&cli.BoolFlag{Name: "given", Usage: "make no key: use the first one of the key file"},
			&cli.BoolFlag{Name: "lost", Usage: "remove the secrets that no key opens; without --lost such a secret ends the command, and nothing changes"},
		),
		Action: func(c *cli.Context) error {
			config, err := secretConfig(env, c)
			if err != nil {
				return err
			}
			return rotate(c.Context, env, config, c.Bool("given"), c.Bool("lost"))
		},
	}
}

func rotate(ctx context.Context, env *roles.Env, config Config, given, lost bool) (err error) {
	if config.Database == "" {
		if _, err := os.Stat(config.State); err != nil { // an open would create the file
			return fmt.Errorf("cannot change the key: %w; name the server's database with --state FILE", err)
		}
	}
	options := fleet.Options{}
	if options.Schema, err = readSchema(config.Schema); err != nil {
		return err
	}
	store, _, err := openStore(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	file := keyFileOf(config)
	ring, err := fleet.Keys(ctx, store, file.keys)
	var report func(place string)
	if lost {
		report = func(place string) {
			switch name, named := strings.CutPrefix(place, "secret "); {
			case named:
				fmt.Fprintln(env.Stdout, "removed the value of the named secret "+plain.Line(name))
			case strings.HasPrefix(place, "layer "): // a device reports again
				fmt.Fprintln(env.Stdout, "removed the secret of "+plain.Line(place))
			}
		}
		if ring, err = file.read(); !given && errors.Is(err, fs.ErrNotExist) {
			ring, err = nil, nil
		}
	}
	if err != nil {
		return file.explain(err)
	}
	if !given {
		if ring, err = file.rotate(ring); err != nil {
			return fmt.Errorf("cannot change the key: %w", err)
		}
	}
	options.Keys = func(bool) (*seal.Ring, error) { return ring, nil }
	changed, err := fleet.Seal(ctx, store, options, report)
	err = errors.Join(err, recordCommand(ctx, env, store, "rotate", "secret-key", "key "+ring.ID(), err))
	if err != nil {
		return fmt.Errorf("%w; the key file has the new key: the server seals the rest when it starts", err)
	}
	_, err = fmt.Fprintf(env.Stdout, "All secrets are sealed with the key %s, the first in %s. Layers, named secrets, entries of the "+
		"history and reports that changed: %d.\nThe file's other keys are for backups that were made before.\n", ring.ID(), file.path, changed)
	return err
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

// commandAuthor is the author of changes by commands.
const commandAuthor = "command line"

func secretFlags(own ...cli.Flag) []cli.Flag {
	own = append(own, secretKeyFlag(), stateFlag(), databaseFlag(), targetSchemaFlag())
	return append(own, roles.CommonFlags()...)
}

func secretSet(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "set", Usage: "set a named secret from standard input or a file", ArgsUsage: "NAME",
		Description: "Reads a value and stores it as a named secret. The value is a text, of which one newline at the end is " +
			"removed; with --json it is a JSON value of any type but null. Each layer that refers to the secret gets " +
			"the new value, and the command refuses one that the confdb-schema does not take there. Nobody can read " +
			"the value again.",
		UsageText: "aspects-poc server secret set vpn < vpn.key\n" +
			"aspects-poc server secret set vpn --file vpn.key",
		SkipFlagParsing: true, // flags may follow the name
		Flags: secretFlags(
			&cli.StringFlag{Name: "file", Usage: "`FILE` with the value (default: standard input)"},
			&cli.BoolFlag{Name: "json", Usage: "the value is JSON, not a text"},
		),
		Action: func(c *cli.Context) error {
			name, err := secretName(c, "set")
			if err != nil {
				return err
			}
			value, err := readValue(env.Stdin, c.String("file"), c.Bool("json"))
			if err != nil {
				return fmt.Errorf("cannot read the value of the secret: %w", err)
			}
			change := fleet.SecretChange{Secret: fleet.Secret{Name: name, Value: value}}
			return changeSecret(env, c, change, func(secret fleet.ShownSecret, devices int) string {
				return fmt.Sprintf("The secret %s has revision %d and digest %s. Devices whose target changed: %d.", name, secret.Revision,
					secret.Digest, devices)
			})
		},
	}
}

func secretDelete(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "delete", Usage: "delete a named secret", ArgsUsage: "NAME",
		Description:     "Deletes a named secret. If layers refer to it, the command names them and deletes nothing.",
		UsageText:       "aspects-poc server secret delete vpn",
		SkipFlagParsing: true,
		Flags:           secretFlags(),
		Action: func(c *cli.Context) error {
			name, err := secretName(c, "delete")
			if err != nil {
				return err
			}
			change := fleet.SecretChange{Secret: fleet.Secret{Name: name}, Remove: true}
			return changeSecret(env, c, change, func(fleet.ShownSecret, int) string { return "The secret " + name + " is deleted." })
		},
	}
}

func secretList(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the named secrets",
		Description: "Lists the names of the secrets, their digests, who set them, and the layers that refer to them. Nothing shows " +
			"the values.",
		UsageText:       "aspects-poc server secret list",
		SkipFlagParsing: true,
		Flags:           secretFlags(&cli.BoolFlag{Name: "json", Usage: "print JSON"}),
		Action: func(c *cli.Context) error {
			if len(roles.Args(c)) > 0 {
				return roles.Usagef("list takes no argument")
			}
			return withFleet(env, c, false, func(ctx context.Context, rules *fleet.Fleet) error {
				list, err := rules.Secrets(ctx)
				if err != nil {
					return err
				}
				return printSecrets(env.Stdout, list, c.Bool("json"))
			})
		},
	}
}

// secretName returns the only argument. The error does not show a second one, because somebody may have typed the
// secret's value there.
func secretName(c *cli.Context, command string) (string, error) {
	given := roles.Args(c)
	if len(given) != 1 {
		return "", roles.Usagef("%s takes the name of the secret, and nothing else; the value of set comes from standard input or --file",
			command)
	}
	if err := fleet.CheckSecretName(given[0]); err != nil {
		return "", roles.Usagef("%s", err)
	}
	return given[0], nil
}

// readValue reads the value of a secret. Its errors do not show the value.
func readValue(stdin io.Reader, file string, asJSON bool) (fleet.Config, error) {
	if file != "" {
		opened, err := os.Open(file)
		if err != nil {
			return fleet.Config{}, err
		}
		defer func() { _ = opened.Close() }() // only read
		stdin = opened
	}
	text, err := serverapi.ReadSecret(stdin, asJSON, fleet.MaxSecretSize)
	if err != nil {
		return fleet.Config{}, err
	}
	value, err := fleet.SecretValue(text)
	if err != nil && asJSON {
		return fleet.Config{}, serverapi.ErrNoJSONSecret // the error of the parser may quote it
	}
	return value, err
}

func changeSecret(env *roles.Env, c *cli.Context, change fleet.SecretChange, say func(fleet.ShownSecret, int) string) error {
	change.By = commandAuthor
	verb := "set"
	if change.Remove {
		verb = "remove"
	}
	return withFleet(env, c, !change.Remove, func(ctx context.Context, rules *fleet.Fleet) error {
		ctx = byCommand(ctx, env, verb, "secrets/"+change.Name, "")
		secret, devices, err := rules.SetSecret(ctx, change)
		for errors.Is(err, fleet.ErrStale) { // a layer has changed meanwhile: check again
			secret, devices, err = rules.SetSecret(ctx, change)
		}
		var used *fleet.UsedError
		switch {
		case errors.Is(err, fleet.ErrUnknownSecret):
			return fmt.Errorf("cannot delete %q: %w; aspects-poc server secret list shows which there are", change.Name, err)
		case errors.As(err, &used):
			return err
		case err != nil:
			return fmt.Errorf("cannot set the secret %s: %w", change.Name, err)
		}
		_, err = fmt.Fprintln(env.Stdout, say(secret, devices))
		return err
	})
}

// secretConfig returns the settings of secretFlags.
func secretConfig(env *roles.Env, c *cli.Context) (Config, error) {
	settings, err := roles.NewSettings(env, c)
	if err != nil {
		return Config{}, err
	}
	config := Config{
		State: statePath(c.String("state"), settings.StateDir), Database: c.String("database"),
		Schema: c.String("target-schema"), SecretKeyFile: c.String("secret-key-file"), Log: slog.New(slog.DiscardHandler),
	}
	return config, checkDatabase(config.Database)
}

// withFleet opens the fleet in the database of the flags, which a server may be using. It creates a missing file only
// if makes is true.
func withFleet(env *roles.Env, c *cli.Context, makes bool, do func(context.Context, *fleet.Fleet) error) (err error) {
	config, err := secretConfig(env, c)
	if err != nil {
		return err
	}
	if config.Database == "" && !makes {
		if _, err := os.Stat(config.State); err != nil {
			return fmt.Errorf("cannot read the secrets: %w; name the server's database with --state FILE", err)
		}
	}
	file := keyFileOf(config)
	options := fleet.Options{Keys: file.keys}
	if options.Schema, err = readSchema(config.Schema); err != nil {
		return err
	}
	store, err := openBeside(c.Context, config, &options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rules, err := fleet.Open(c.Context, store, options)
	if errors.Is(err, seal.ErrBeside) {
		return fmt.Errorf("%w; give the same --target-schema and --secret-key-file as to the server; after an "+
			"upgrade, a restore or a change of the key, start the server first", err)
	}
	if err != nil {
		return file.explain(err)
	}
	return errors.Join(do(c.Context, rules), rules.Close())
}

// openBeside opens the store beside a running server, and does not seal again what is stored. If nothing is sealed yet,
// it opens the store as a server does, and thus begins to seal.
func openBeside(ctx context.Context, config Config, options *fleet.Options) (store fleet.Store, err error) {
	if config.Database == "" {
		store, err = sqlite.OpenBeside(ctx, config.State)
	} else {
		store, err = postgres.Open(ctx, config.Database, postgres.Options{})
	}
	if err != nil {
		return nil, err
	}
	state, err := store.Sealing(ctx)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if options.Beside = state != ""; options.Beside || config.Database != "" {
		return store, nil
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	store, err = openEmbedded(ctx, config.State)
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("the server's confdb-schema has no secrets, so that no layer can name one: %w", err)
	}
	return store, err
}

func printSecrets(out io.Writer, list []fleet.ShownSecret, asJSON bool) error {
	if asJSON {
		shapes := []serverapi.Secret{}
		for _, secret := range list {
			shapes = append(shapes, wire.Secret(secret))
		}
		return writeJSON(out, shapes)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "There are no named secrets.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "Name\tRevision\tDigest\tSet\tBy\tLayers\t")
	for _, secret := range list {
		if secret.Digest == "" {
			secret.Digest = "lost"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t\n", secret.Name, secret.Revision, secret.Digest, day(secret.At),
			plain.Line(secret.By), fleet.Listed(secret.Layers, 3))
	}
	return table.Flush()
}

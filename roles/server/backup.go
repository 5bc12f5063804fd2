package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/urfave/cli/v2"
)

// backupCommand returns the command that copies the database while the server runs.
func backupCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "copy the database; the server may run meanwhile", ArgsUsage: "FILE",
		Description: "Writes a copy of the database to a new FILE, and prints a line when the copy is on disk. The " +
			"copy has all that the server acknowledged before the command began. It also has the hashes of " +
			"tokens: protect it as you protect the database.",
		UsageText:       "aspects-poc server backup /var/backups/fleet-monday.db",
		SkipFlagParsing: true, // flags may follow the name
		Flags:           databaseFlags(),
		Action: func(c *cli.Context) error {
			return onDatabase(env, c, "backup", func(ctx context.Context, file, state string) error {
				if err := sqlite.Backup(ctx, state, file); err != nil {
					return err
				}
				_, err := fmt.Fprintf(env.Stdout, "%s is a copy of %s.\n", file, state)
				return err
			})
		},
	}
}

// restoreCommand returns the command that restores a copy.
func restoreCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "replace the database by a backup", ArgsUsage: "FILE",
		Description: "Checks all of FILE, and replaces the database by a copy of it. Stop the server first. The old " +
			"database stays beside the new one: its name ends with .previous, and a number if there is such a " +
			"file. New revisions begin far above those that devices may have seen. Devices that registered after " +
			"the backup register again. Tokens and devices are as they were at the backup: revoke again those " +
			"that were revoked since. If the backup has no operator's token, the server's " +
			"next start makes one. The command prints the valid tokens.",
		UsageText:       "aspects-poc server restore /var/backups/fleet-monday.db",
		SkipFlagParsing: true,
		Flags:           append([]cli.Flag{secretKeyFlag()}, databaseFlags()...),
		Action: func(c *cli.Context) error {
			return onDatabase(env, c, "restore", func(ctx context.Context, file, state string) error {
				previous, err := sqlite.Restore(ctx, file, state)
				if err != nil {
					return err
				}
				kept := "there was nothing before"
				if previous != "" {
					kept = "what was there is in " + previous
				}
				if err := recordRestore(ctx, env, state, file); err != nil {
					return err
				}
				if _, err := fmt.Fprintf(env.Stdout, "%s is what %s was; %s.\n", state, file, kept); err != nil {
					return err
				}
				if err := printValidTokens(ctx, env.Stdout, state); err != nil {
					return err
				}
				return printKeyHint(ctx, env.Stdout, Config{State: state, SecretKeyFile: c.String("secret-key-file")})
			})
		},
	}
}

// printValidTokens prints which tokens are valid after a restore.
func printValidTokens(ctx context.Context, out io.Writer, state string) (err error) {
	store, release, err := sqlite.OpenTokens(ctx, state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	tokens, err := store.Tokens(ctx)
	if err != nil {
		return err
	}
	var valid []string
	operated, now := false, time.Now()
	for _, token := range tokens {
		operated = operated || token.Purpose == access.Operate
		if token.Valid(now) {
			valid = append(valid, plain.Line(token.Name))
		}
	}
	const most = 10
	list := strings.Join(valid[:min(len(valid), most)], ", ")
	if more := len(valid) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if len(valid) > 0 {
		list = " (" + list + ")"
	}
	text := fmt.Sprintf("Tokens valid now: %d%s. What was revoked since the backup is good again, tokens and devices: revoke it "+
		"anew.\n", len(valid), list)
	if !operated {
		text += "There is no operator's token: the server makes one when it starts. Another is made with: " +
			access.CreateHint + "\n"
	}
	_, err = io.WriteString(out, text)
	return err
}

// printKeyHint prints what to do after a restore if the key file is not the one with which the secrets are sealed.
func printKeyHint(ctx context.Context, out io.Writer, config Config) (err error) {
	store, err := sqlite.Open(ctx, config.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	file := keyFileOf(config)
	_, err = fleet.Keys(ctx, store, func(fresh bool) (*seal.Ring, error) {
		if fresh { // nothing is sealed
			return nil, nil
		}
		return file.keys(false)
	})
	if err == nil {
		return nil
	}
	_, err = fmt.Fprintf(out, "Before the server can start: %s.\n", file.explain(err))
	return err
}

func databaseFlags() []cli.Flag {
	return append([]cli.Flag{stateFlag(), databaseFlag()}, roles.CommonFlags()...)
}

// onDatabase calls a function with the file in the only argument and the database in the flags.
func onDatabase(
	env *roles.Env, c *cli.Context, command string, do func(ctx context.Context, file, state string) error,
) error {
	switch given := roles.Args(c); {
	case len(given) > 1:
		return roles.Usagef("unexpected argument %q", given[1])
	case len(given) < 1:
		return roles.Usagef("%s needs the name of a file", command)
	}
	settings, err := roles.NewSettings(env, c)
	if err != nil {
		return err
	}
	if address := c.String("database"); address != "" {
		if err := checkDatabase(address); err != nil {
			return err
		}
		return fmt.Errorf("cannot %s the embedded store: the server keeps its state in the database %s, which has tools for that "+
			"(pg_dump, pg_restore); for a file of before add --database \"\"", command, postgres.Name(address))
	}
	err = do(c.Context, roles.Args(c)[0], statePath(c.String("state"), settings.StateDir))
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("%w (--state FILE)", err)
	}
	return err
}

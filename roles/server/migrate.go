package server

import (
	"context"
	"errors"
	"fmt"
	"os"

	"aspects-poc/roles"
	"aspects-poc/roles/server/fleet/postgres"

	"github.com/urfave/cli/v2"
)

// migrateCommand returns the command that copies the embedded store into a database.
func migrateCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name:  "migrate",
		Usage: "copy the database file into a PostgreSQL database",
		Description: "Copies devices, reports, targets, history, statistics, tokens and the audit log from --state into an empty " +
			"database, and counts them there. It copies all or nothing: after a failure the database is empty, " +
			"and you can run the command again. Stop the server first; devices keep what they run, and poll " +
			"again when the server is started with --database. The file does not change.",
		UsageText: "aspects-poc server migrate --database postgres://fleet@db.example.com/fleet",
		Flags: append([]cli.Flag{
			databaseFlag(),
			&cli.StringFlag{Name: "state", Usage: "`FILE` of the embedded store, or the directory that has it (default: that of " +
				"aspects-poc server run)"},
		}, roles.CommonFlags()...),
		Action: func(c *cli.Context) error {
			settings, err := roles.NewSettings(env, c)
			if err != nil {
				return err
			}
			address := c.String("database")
			if err := checkDatabase(address); err != nil {
				return err
			}
			if address == "" {
				return roles.Usagef("--database is missing: want the address of an empty database")
			}
			return migrateStore(c.Context, env, statePath(c.String("state"), settings.StateDir), address)
		},
	}
}

func migrateStore(ctx context.Context, env *roles.Env, state, address string) (err error) {
	if _, err := os.Stat(state); err != nil { // an open would create the file
		return fmt.Errorf("cannot migrate the embedded store: %w", err)
	}
	from, err := openEmbedded(ctx, state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	into, err := postgres.Open(ctx, address, postgres.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	done, err := into.Import(ctx, from, from.Tokens(), func(done, all int64) {
		fmt.Fprintf(env.Stderr, "%d of %d devices\n", done, all)
	})
	if err != nil {
		return fmt.Errorf("cannot migrate %q to %s (nothing was written): %w", state, postgres.Name(address), err)
	}
	if err := recordCommand(ctx, env, into, "migrate", "database", "", nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "Copied and counted: %d devices, %d layers, %d named secrets, %d entries of history, %d points of statistics, "+
		"%d tokens, %d records of the audit log.\nStart the server with --database from now on; %s is kept as it was.\n",
		done.Devices, done.Layers, done.Secrets, done.History, done.Stats, done.Tokens, done.Records, state)
	return err
}

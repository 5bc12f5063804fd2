package server

import (
	"context"
	"errors"
	"fmt"

	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/urfave/cli/v2"
)

// databaseVariable is the environment variable of --database, for run and the other commands.
const databaseVariable = "ASPECTS_DATABASE"

func databaseFlag() cli.Flag {
	return &cli.StringFlag{Name: "database", Usage: "`ADDRESS` of a PostgreSQL database to use instead of --state; " +
		"several servers may share it: postgres://USER:PASSWORD@HOST:PORT/DATABASE; give an address with a " +
		"password in the environment"}
}

// checkDatabase checks an address. The error does not repeat it, because it may have a password.
func checkDatabase(address string) error {
	if address == "" {
		return nil
	}
	if err := postgres.CheckAddress(address); err != nil {
		return roles.Usagef("invalid value for --database: %s", err)
	}
	return nil
}

// openStore opens the configured store, and the tokens in it.
func openStore(ctx context.Context, config Config) (fleet.Store, access.Store, error) {
	if config.Open != nil {
		return config.Open(ctx)
	}
	if config.Database == "" {
		store, err := openEmbedded(ctx, config.State)
		if err != nil {
			return nil, nil, err
		}
		return store, store.Tokens(), nil
	}
	store, err := postgres.Open(ctx, config.Database, postgres.Options{Log: config.Log, Deaf: config.Deaf, Wait: !config.Once})
	if err != nil {
		return nil, nil, err
	}
	config.Log.Info("the state is stored in a database", "database", postgres.Name(config.Database))
	return store, store, nil
}

func openEmbedded(ctx context.Context, path string) (*sqlite.Store, error) {
	store, err := sqlite.Open(ctx, path)
	if errors.Is(err, sqlite.ErrInUse) {
		err = fmt.Errorf("%w (--state FILE)", err)
	}
	return store, err
}

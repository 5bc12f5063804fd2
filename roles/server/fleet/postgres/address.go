package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// CheckAddress returns an error for an invalid address of a database. The error never shows a password.
func CheckAddress(address string) error {
	_, _, err := parse(address)
	return err
}

// Name returns the printable part of an address: user, host and database, without the password.
func Name(address string) string {
	config, _, err := parse(address)
	if err != nil {
		return "(no address)"
	}
	conn := config.ConnConfig
	if strings.HasPrefix(conn.Host, "/") {
		return fmt.Sprintf("%s@%s/%s", conn.User, conn.Host, conn.Database)
	}
	return fmt.Sprintf("%s@%s/%s", conn.User, net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))), conn.Database)
}

// parse parses an address. plain is its parameter of this name: the store then uses neither LISTEN and NOTIFY nor
// UNLOGGED, for databases that accept these words and do something else.
func parse(address string) (config *pgxpool.Config, plain bool, err error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, false, errors.New("want postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	config, err = pgxpool.ParseConfig(address)
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return nil, false, file
	case err != nil:
		// The text of pgx's error may have the password of a malformed address.
		return nil, false, errors.New("want postgres://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE&…, with parameters as libpq " +
			"has them, and special characters of the password written as %XX")
	}
	if !strings.Contains(address, "pool_max_conns=") {
		config.MaxConns = connections
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > inTime {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.PingTimeout = 5 * time.Second
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "aspects-poc"
	}
	switch mode := config.ConnConfig.DefaultQueryExecMode; mode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		return nil, false, errors.New("default_query_exec_mode must be cache_statement, cache_describe or describe_exec; behind a " +
			"pooler it is cache_describe without being asked for")
	}
	parameters := config.ConnConfig.RuntimeParams
	if given, there := parameters["plain"]; there {
		if plain, err = strconv.ParseBool(given); err != nil {
			return nil, false, errors.New("want plain=true or plain=false in the parameters")
		}
		delete(parameters, "plain")
	}
	return config, plain, nil
}

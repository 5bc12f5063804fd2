// Package server is the role of the fleet server: devices register, report their configuration, and get their target.
// It exports Role, with the flags and subcommands, and Run, which starts and stops a server.
//
// Run connects the packages below: api and page serve HTTP, access decides who may call, fleet has the rules, and
// fleet/sqlite or fleet/postgres stores the state.
package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/snapenv"
	"aspects-poc/roles/server/fleet"

	"github.com/urfave/cli/v2"
)

// Role is the fleet server.
var Role = roles.Role{
	Name:    "server",
	Summary: "run the fleet server: registrations, reports, targets",
	Command: command,
	Hooks: []roles.Hook{roles.ConfigureHook(runSpec, "listen", "max-body", "drain", "interval",
		"operators", "enrolment", "max-pending", "allow-unsigned", "public-url", "person-header", "audit-file", "audit-keep", "audit-most", "tls-cert", "tls-key")},
}

// StateFile is the name of the database in the state directory.
const StateFile = "server.db"

func command(env *roles.Env) *cli.Command {
	return &cli.Command{Subcommands: []*cli.Command{roles.RunCommand(env, runSpec(env)), tokenCommand(env), secretCommand(env),
		backupCommand(env), restoreCommand(env), migrateCommand(env)}}
}

func runSpec(env *roles.Env) roles.RunSpec {
	return roles.RunSpec{
		Usage: "run the fleet server until interrupted",
		Description: "Serves the HTTP API that /docs describes, and prints its address when it is ready. All that it " +
			"acknowledges is on disk. Every --interval it moves the database's log into the database and logs a " +
			"summary. With --once it starts, sends itself a request, prints the outcome and stops. Devices sign " +
			"their requests. Operators need a token: the first start writes one to a file, and prints " +
			"the file's name; server token makes others.",
		Example: "aspects-poc server run --listen 127.0.0.1:8000\n" +
			"aspects-poc server run --once --listen 127.0.0.1:0",
		Interval: time.Minute,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8000",
				Usage: "`HOST:PORT` to listen on; port 0 takes a free one"},
			stateFlag(),
			databaseFlag(),
			secretKeyFlag(),
			targetSchemaFlag(),
			&cli.DurationFlag{Name: "poll-interval", Value: time.Minute,
				Usage: "`DURATION` between a device's polls; a device that does not poll for three of them is silent"},
			&cli.IntFlag{Name: "max-waiting", Value: 50_000,
				Usage: "`NUMBER` of polls that may wait for a change at a time"},
			&cli.IntFlag{Name: "max-pending", Value: 1000,
				Usage: "`NUMBER` of devices that may wait for approval at a time, with --enrolment approve; others " +
					"have to try again later"},
			&cli.DurationFlag{Name: "stats-keep", Value: 7 * 24 * time.Hour,
				Usage: "`DURATION` for which the database keeps devices' statistics, older ones in larger steps; 0 keeps none"},
			&cli.DurationFlag{Name: "stats-step", Value: 5 * time.Minute,
				Usage: "`DURATION` between two points of statistics"},
			&cli.Int64Flag{Name: "max-body", Value: 1 << 20, Usage: "largest request body, in `BYTES`"},
			&cli.DurationFlag{Name: "drain", Value: 10 * time.Second,
				Usage: "`DURATION` in which running requests may finish when the server stops"},
			&cli.BoolFlag{Name: "trust-clock", Usage: "trust the clock although the database has later times, and correct " +
				"these; for one start after the clock was ahead"},
		}, append(accessFlags(), auditFlags()...)...),
		Check: func(c *cli.Context, s *roles.Settings) error { return newConfig(env, c, s).check() },
		Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
			return Run(ctx, newConfig(env, c, s))
		},
	}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "`FILE` to keep devices and targets in, or a directory for it (default: " +
		StateFile + " in $SNAP_COMMON or $XDG_STATE_HOME/aspects-poc)"}
}

func targetSchemaFlag() cli.Flag {
	return &cli.StringFlag{Name: "target-schema", Usage: "`FILE` with the confdb-schema (YAML, JSON or an assertion) " +
		"for the check of targets; none: no check (default: the one that aspects-poc registry assertion prints)"}
}

func secretKeyFlag() cli.Flag {
	return &cli.StringFlag{Name: "secret-key-file", Usage: "`FILE` with the keys that seal secrets in the database; servers on one " +
		"database need the same keys (default: a file beside --state, made when it is needed)"}
}

func newConfig(env *roles.Env, c *cli.Context, s *roles.Settings) Config {
	keep := c.Duration("stats-keep")
	if keep == 0 {
		keep = -1 // fleet.Options: store no statistics
	}
	return Config{
		Listen:        c.String("listen"),
		FirstToken:    firstTokenFile(c, s),
		Chosen:        chosen(s.Getenv),
		State:         statePath(c.String("state"), s.StateDir),
		Database:      c.String("database"),
		Schema:        c.String("target-schema"),
		SecretKeyFile: c.String("secret-key-file"),
		MaxBody:       c.Int64("max-body"),
		Fleet: fleet.Options{
			PollInterval: c.Duration("poll-interval"),
			MaxWaiting:   c.Int("max-waiting"),
			MaxPending:   c.Int("max-pending"),
			StatsStep:    c.Duration("stats-step"),
			StatsKeep:    keep,
		},
		TrustClock: c.Bool("trust-clock"),
		Drain:      c.Duration("drain"),
		Once:       s.Once,
		Interval:   s.Interval,
		Log:        s.Log,
		Out:        env.Stdout,
		Access:     newAccess(c),
		Audit:      newAudit(c),
	}
}

// chosen returns how the user sets the address: in a snap by the snap's configuration.
func chosen(getenv func(string) string) string {
	if snap := snapenv.Read(getenv); snap.Inside() {
		return "snap set " + snap.Instance + " listen=HOST:PORT"
	}
	return "--listen"
}

// statePath returns the file for a value of --state: a file, a directory (it exists or ends in a slash), or "".
func statePath(flag, stateDir string) string {
	switch {
	case flag == "":
		return filepath.Join(stateDir, StateFile)
	case strings.HasSuffix(flag, "/") || isDirectory(flag):
		return filepath.Join(flag, StateFile)
	}
	return flag
}

func (c Config) check() error {
	switch {
	case c.MaxBody < 1024:
		return roles.Usagef("invalid value \"%d\" for --max-body: want 1024 bytes or more", c.MaxBody)
	case c.Drain < 0:
		return roles.Usagef("invalid value %q for --drain: want a duration such as 10s", c.Drain)
	case c.Fleet.PollInterval < time.Second:
		return roles.Usagef("invalid value %q for --poll-interval: want a second or more", c.Fleet.PollInterval)
	case c.Fleet.StatsStep < time.Second:
		return roles.Usagef("invalid value %q for --stats-step: want a second or more", c.Fleet.StatsStep)
	case c.Fleet.MaxWaiting < 1:
		return roles.Usagef("invalid value \"%d\" for --max-waiting: want 1 or more", c.Fleet.MaxWaiting)
	case c.Fleet.MaxPending < 1:
		return roles.Usagef("invalid value \"%d\" for --max-pending: want 1 or more", c.Fleet.MaxPending)
	}
	if err := errors.Join(checkDatabase(c.Database), c.Audit.check()); err != nil {
		return err
	}
	if _, _, err := splitListen(c.Listen); err != nil {
		return roles.Usagef("invalid value %q for --listen: %s", c.Listen, err)
	}
	return c.Access.check()
}

// documented returns the line with the addresses of the fleet page and the documentation.
func documented(url string) string {
	return fmt.Sprintf("Listening on %s, where the fleet page is; documentation at %s/docs", url, url)
}

package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/internal/snapenv"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

// MinInterval is the smallest --interval. A smaller one is a wrong unit and would keep a processor busy.
const MinInterval = 10 * time.Millisecond

// Settings are the resolved common flags.
type Settings struct {
	Registry string // address for registry.Open
	Account  string // account ID for views that are named without one
	Schema   string // confdb-schema for views that are named without one

	Once     bool          // one cycle; for run commands
	Interval time.Duration // between cycles, at least MinInterval; for run commands

	// Log writes to Env.Stderr with the level and format of the flags. The role is an attribute.
	Log *slog.Logger
	// StateDir is the folder for persistent data. It may not exist yet. In a snap it is SNAP_COMMON, which refreshes
	// and reverts do not change.
	StateDir string
	// Getenv is Env.Getenv.
	Getenv func(string) string

	open func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error)
}

// Open opens the registry of the flags. The caller closes it.
func (s *Settings) Open(ctx context.Context) (*registry.Registry, error) {
	return s.open(ctx, s.Registry, s.Options())
}

// Options returns the options of Open.
func (s *Settings) Options() registry.Options {
	return registry.Options{Account: s.Account, Schema: s.Schema, Getenv: s.Getenv, Schemas: NetworkSchema(s.Account)}
}

// NetworkSchema returns the confdb-schema of the roles with this account, for registry.Options.
func NetworkSchema(account string) []registry.Schema {
	schema := registry.Schema{Account: account, Name: network.Name}
	if err := json.Unmarshal(network.Source(), &schema); err != nil {
		panic(err) // it is part of the binary, and tests have parsed it
	}
	return []registry.Schema{schema}
}

// The names of the common flags.
const (
	flagRegistry  = "registry"
	flagAccount   = "account-id"
	flagSchema    = "schema"
	flagLogLevel  = "log-level"
	flagLogFormat = "log-format"
	flagConfig    = "config"
	flagOnce      = "once"
	flagInterval  = "interval"
)

// CommonFlags returns the flags of every command that opens a registry.
func CommonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRegistry, Value: "auto", Usage: "`ADDRESS` of the registry: auto, snapd:, snapctl:, " +
			"file:PATH or mem:"},
		&cli.StringFlag{Name: flagAccount, Value: network.AccountID, Usage: "account `ID` of the confdb-schema"},
		&cli.StringFlag{Name: flagSchema, Value: network.Name, Usage: "`NAME` of the confdb-schema"},
		&cli.StringFlag{Name: flagLogLevel, Value: "info", Usage: "least level to log: `debug|info|warn|error`"},
		&cli.StringFlag{Name: flagLogFormat, Value: "text", Usage: "log as `text|json`"},
		&cli.StringFlag{Name: flagConfig, Usage: "configuration `FILE`, YAML or JSON: flag names, also in a section " +
			"for each role; -: no file"},
	}
}

// RunFlags returns CommonFlags, --once and --interval with this default.
func RunFlags(interval time.Duration) []cli.Flag {
	return append([]cli.Flag{
		&cli.BoolFlag{Name: flagOnce, Usage: "run one cycle, and exit with its result"},
		&cli.DurationFlag{Name: flagInterval, Value: interval, Usage: "`DURATION` between the starts of two cycles"},
	}, CommonFlags()...)
}

// A RunSpec describes a role's run command.
type RunSpec struct {
	Usage       string        // one line
	Description string        // one paragraph
	Example     string        // one or more command lines
	Interval    time.Duration // default of --interval
	// Flags are the role's own flags. Environment and file can set them like common flags. So they must not use cli's
	// EnvVars, FilePath, Required and Action, which cli evaluates too early. A placeholder with bars in the usage,
	// such as `text|json` in backquotes, lists all values.
	Flags []cli.Flag
	// Check, if not nil, returns an error for invalid values of flags. It changes nothing. It runs before Action and
	// in the configure hook.
	Check func(c *cli.Context, s *Settings) error
	// Action runs the role until ctx ends and then returns nil; with s.Once it runs one cycle. c has the role's own
	// flags.
	Action func(ctx context.Context, c *cli.Context, s *Settings) error
}

// RunCommand returns the run command of a role.
func RunCommand(env *Env, spec RunSpec) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: spec.Usage, Description: spec.Description, UsageText: spec.Example,
		Flags: append(append([]cli.Flag{}, spec.Flags...), RunFlags(spec.Interval)...),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return Usagef("unexpected argument %q: run takes flags only", c.Args().First())
			}
			settings, err := NewSettings(env, c)
			if err != nil {
				return err
			}
			if spec.Check != nil {
				if err := spec.Check(c, settings); err != nil {
					return err
				}
			}
			return settings.run(c, spec)
		},
	}
}

func (s *Settings) run(c *cli.Context, spec RunSpec) error {
	ctx := c.Context
	err := spec.Action(ctx, c, s)
	switch {
	case ctx.Err() == nil || err == nil || !errors.Is(err, context.Canceled):
		return err
	case s.Once:
		return fmt.Errorf("interrupted before the cycle was done: %w", err)
	default:
		return nil // the normal end of a daemon
	}
}

// NewSettings returns the Settings of a command with CommonFlags or RunFlags. Commands made by RunCommand do not need
// it.
func NewSettings(env *Env, c *cli.Context) (*Settings, error) {
	snap := snapenv.Read(env.Getenv)
	log, err := newLogger(env, c.String(flagLogLevel), c.String(flagLogFormat))
	if err != nil {
		return nil, err
	}
	if role := roleOf(c); role != "" {
		log = log.With("role", role)
	}
	settings := &Settings{
		Registry: c.String(flagRegistry), Account: c.String(flagAccount), Schema: c.String(flagSchema),
		Once: c.Bool(flagOnce), Interval: c.Duration(flagInterval),
		Log: log, StateDir: stateDir(snap, env.Getenv), Getenv: env.Getenv, open: env.Open,
	}
	if has(c, flagInterval) && settings.Interval < MinInterval {
		return nil, Usagef("invalid value %q for --interval: want %s or more, such as 30s or 1m", settings.Interval, MinInterval)
	}
	for flag, value := range map[string]string{flagRegistry: settings.Registry, flagAccount: settings.Account,
		flagSchema: settings.Schema} {
		if value == "" {
			return nil, Usagef("invalid value \"\" for --%s: must not be empty", flag)
		}
	}
	return settings, nil
}

func has(c *cli.Context, flag string) bool {
	for _, f := range c.Command.Flags {
		if f.Names()[0] == flag {
			return true
		}
	}
	return false
}

// stateDir follows the XDG base directory specification outside of snaps.
func stateDir(snap snapenv.Snap, getenv func(string) string) string {
	switch {
	case snap.Common != "":
		return snap.Common
	case getenv("XDG_STATE_HOME") != "":
		return filepath.Join(getenv("XDG_STATE_HOME"), Program)
	default:
		return filepath.Join(getenv("HOME"), ".local", "state", Program)
	}
}

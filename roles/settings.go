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

// MinInterval is the least --interval: less is a slip of the unit, and would keep a processor busy with nothing else.
const MinInterval = 10 * time.Millisecond

// Settings are the common flags, resolved once: command line, environment, file, default.
type Settings struct {
	Registry string // address, see registry.Open
	Account  string // account ID of views that are named without one
	Schema   string // confdb-schema of views that are named without one

	Once     bool          // one cycle; only of run commands
	Interval time.Duration // between cycles, MinInterval or more; only of run commands

	// Log writes to Env.Stderr, at the level and in the format that the user asked for, with the role as attribute.
	Log *slog.Logger
	// StateDir is where this user, or this snap, keeps what must survive: not created yet. In a snap it is SNAP_COMMON,
	// which refreshes and reverts leave alone.
	StateDir string
	// Getenv is Env's.
	Getenv func(string) string

	open func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error)
}

// Open opens the registry that the user chose. The caller closes it.
func (s *Settings) Open(ctx context.Context) (*registry.Registry, error) {
	return s.open(ctx, s.Registry, s.Options())
}

// Options are what Open opens the registry with.
func (s *Settings) Options() registry.Options {
	return registry.Options{Account: s.Account, Schema: s.Schema, Getenv: s.Getenv, Schemas: NetworkSchema(s.Account)}
}

// NetworkSchema returns the confdb-schema of the roles, published by an account, for registry.Options.
func NetworkSchema(account string) []registry.Schema {
	schema := registry.Schema{Account: account, Name: network.Name}
	if err := json.Unmarshal(network.Source(), &schema); err != nil {
		panic(err) // the document is part of the binary, and tests have read it
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

// CommonFlags are the flags that every command that opens a registry takes.
func CommonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagRegistry, Value: "auto", Usage: "`ADDRESS` of the registry: auto, snapd:, snapctl:, " +
			"file:PATH or mem:"},
		&cli.StringFlag{Name: flagAccount, Value: network.AccountID, Usage: "account `ID` of the confdb-schema"},
		&cli.StringFlag{Name: flagSchema, Value: network.Name, Usage: "`NAME` of the confdb-schema"},
		&cli.StringFlag{Name: flagLogLevel, Value: "info", Usage: "log from this level on: `debug|info|warn|error`"},
		&cli.StringFlag{Name: flagLogFormat, Value: "text", Usage: "log as `text|json`"},
		&cli.StringFlag{Name: flagConfig, Usage: "configuration `FILE`, YAML or JSON: flag names, also in a section per " +
			"role; - for none"},
	}
}

// RunFlags are CommonFlags, --once and --interval with its default.
func RunFlags(interval time.Duration) []cli.Flag {
	return append([]cli.Flag{
		&cli.BoolFlag{Name: flagOnce, Usage: "run one cycle, and exit with its outcome"},
		&cli.DurationFlag{Name: flagInterval, Value: interval, Usage: "`DURATION` between the starts of two cycles"},
	}, CommonFlags()...)
}

// RunSpec describes a role's run command.
type RunSpec struct {
	Usage       string        // one line
	Description string        // one paragraph
	Example     string        // one command line or more
	Interval    time.Duration // default of --interval
	// Flags are the role's own. They take part in the order of sources like the common ones, which is why they do without
	// cli's EnvVars, FilePath, Required and Action: these would look at a flag before all sources were asked. A
	// placeholder with bars in its usage, such as `text|json` in backquotes, lists all values.
	Flags []cli.Flag
	// Check, if set, refuses values of the flags that cannot be; it touches nothing. Action can rely on it. The configure
	// hook asks it, too.
	Check func(c *cli.Context, s *Settings) error
	// Action runs the role until ctx ends (nil then), or one cycle with s.Once. c has the role's own flags.
	Action func(ctx context.Context, c *cli.Context, s *Settings) error
}

// RunCommand makes the run command of a role.
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
		return nil // the way to end a daemon
	}
}

// NewSettings resolves the common flags of a command, those of run where the command has them. It is for commands that
// RunCommand does not make.
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

// stateDir follows the XDG base directories outside of snaps.
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

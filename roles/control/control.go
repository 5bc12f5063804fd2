// Package control is the role that connects a device to its fleet. It registers the device, writes the default
// configuration, counts packets, reports to the server, and applies the server's target. The package exports Role.
//
// An agent's cycle does all work in the registry, in one goroutine. The conversation with the server (exchange) runs
// in parallel and never delays a cycle. Package target decides what happens to targets, and package state has the
// files that survive a restart.
package control

import (
	"cmp"
	"context"
	"crypto/rsa"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/netdev"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/urfave/cli/v2"
)

// Role is the control role.
var Role = roles.Role{
	Name: "control", Summary: "register the device, count packets, apply the server's target", Command: command,
	Hooks: []roles.Hook{
		roles.ConfigureHook(func(env *roles.Env) roles.RunSpec { return runSpec(env, parts{}) },
			"interval", "source", "seed", "counters", "confirm-within", "wait", "ca", "label", "enrolment-token", "server-host", "operator-keys"),
		changeControlDevice(), changeControlInterfaces(), changeControlTunnel(), changeControlTelemetry(),
		loadControlInterfaces(), loadObserveInterfaces(),
	},
}

// DefaultServerURL is the server that is written to the registry if none is set.
const DefaultServerURL = "http://127.0.0.1:8000"

func command(env *roles.Env) *cli.Command { return commandWith(env, parts{}) }

// parts replace parts of the machine in tests. The zero value replaces nothing.
type parts struct {
	transport http.RoundTripper
	newKey    func() (*rsa.PrivateKey, error)
	links     func() ([]netdev.Link, error)
	random    func() float64 // in [0,1), for the times of polls
	// replace writes a file of the state directory; see durable.Write.
	replace func(path string, content []byte, mode os.FileMode) error
}

func commandWith(env *roles.Env, parts parts) *cli.Command {
	return &cli.Command{Subcommands: []*cli.Command{roles.RunCommand(env, runSpec(env, parts)), rotateCommand(env, parts), statusCommand(env),
		applyCommand(env, parts)}}
}

func runSpec(env *roles.Env, parts parts) roles.RunSpec {
	return roles.RunSpec{
		Usage: "register the device, count packets, and apply targets, until interrupted",
		Description: "The first run registers the device with the server, and writes the default configuration where " +
			"nothing is set. It does so once for each state directory, and again for an empty registry. Each " +
			"cycle counts packets. At the server's poll interval, control reports the configuration, the " +
			"counters and the running target, and applies the target in the answer, all of it or nothing. If the " +
			"server cannot be reached after that, control restores the previous configuration. Counting goes on " +
			"while the server is away. Exit status with --once: 0 if all of this succeeded; 1 if the registry " +
			"failed, the server was not reached, or the target was refused or undone.",
		Example: "aspects-poc control run --once\naspects-poc control run --once --operator-keys operators\n" +
			"aspects-poc control run --source system --interval 10s",
		Interval: time.Minute,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "source", Value: "simulate", Usage: "`SOURCE` of the counters: simulate, or system " +
				"for the kernel's"},
			&cli.Int64Flag{Name: "seed", Usage: "`NUMBER` that makes the simulated packets repeatable; 0: different in " +
				"each run"},
			stateFlag(),
			&cli.StringFlag{Name: "server-url", Value: DefaultServerURL, Usage: "`URL` of the server, written to the " +
				"registry if none is set there"},
			&cli.StringFlag{Name: "counters", Value: countersAuto, Usage: "where the counters are kept: " +
				"`auto|registry`; auto: in a file, if the snap's hooks supply them to readers, else in the " +
				"registry"},
			&cli.DurationFlag{Name: "confirm-within", Value: 3 * time.Minute, Usage: "`DURATION` in which the server " +
				"must answer after a target was applied; else the previous configuration is restored"},
			&cli.BoolFlag{Name: "wait", Value: true, Usage: "let polls wait at the server, to get a new target at once"},
			caFlag(),
			&cli.StringSliceFlag{Name: "label", Usage: "`NAME=VALUE`, a label with which the device registers, for " +
				"targets of some devices only; may be repeated"},
			&cli.StringFlag{Name: "enrolment-token", Usage: "enrolment `TOKEN`, for a server that asks for one"},
			&cli.StringSliceFlag{Name: "server-host", Usage: "`HOST` that a target may name in server-url, besides " +
				"the present one; may be repeated"},
			&cli.StringFlag{Name: "operator-keys", Usage: "`FILE` of allowed signers (ssh-keygen): the device applies only what " +
				"one of these keys has signed. The first start with this flag stores the keys; afterwards only a signed " +
				"statement changes them"},
		},
		Check: func(c *cli.Context, s *roles.Settings) error {
			_, err := newConfig(c, s)
			return err
		},
		Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
			config, err := newConfig(c, s)
			if err != nil {
				return err
			}
			waker := poll.NewWaker()
			agent, err := newAgent(config, parts, env.Stdout, s, waker.Wake)
			if err != nil {
				return err
			}
			defer agent.close()
			return attach.Run(ctx, attach.Options{
				Log: s.Log, Open: s.Open, Once: s.Once, Interval: s.Interval,
				Start: agent.start, Cycle: agent.cycle, Next: agent.next, Wake: waker.C(),
				FirstSlot: 0, Custodian: roles.Custodian,
			})
		},
	}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state", Usage: "`DIR` for the registration and the private key (default: the snap's or " +
		"user's state directory)"}
}

func caFlag() cli.Flag {
	return &cli.StringFlag{Name: "ca", Usage: "`FILE` with the certificates (PEM) of the authorities for an https:// " +
		"server, instead of the system's"}
}

// stateDir returns the absolute path of --state.
func stateDir(c *cli.Context, s *roles.Settings) (string, error) {
	dir, err := filepath.Abs(cmp.Or(c.String("state"), s.StateDir))
	if err != nil {
		return "", roles.Usagef("invalid value %q for --state: %v", c.String("state"), err)
	}
	return dir, nil
}

// The values of --counters.
const (
	countersAuto     = "auto"
	countersRegistry = "registry"
)

// Config has the settings of the role.
type Config struct {
	Source    string // "simulate" or "system"
	Seed      int64  // of the simulation; 0 means real randomness
	StateDir  string
	ServerURL string // the default server
	Counters  string // "auto" or "registry"

	ConfirmWithin time.Duration
	Wait          bool
	CA            string // file of CA certificates; "" means the system's
	Labels        map[string]string
	Token         string
	ServerHosts   []string // hosts of servers that a target may name
	OperatorKeys  signed.Keys
}

func newConfig(c *cli.Context, s *roles.Settings) (Config, error) {
	config := Config{
		Source: c.String("source"), Seed: c.Int64("seed"), ServerURL: c.String("server-url"),
		Counters: c.String("counters"),
	}
	if config.Source != "simulate" && config.Source != "system" {
		return Config{}, roles.Usagef("invalid value %q for --source: want simulate or system", config.Source)
	}
	if config.Counters != countersAuto && config.Counters != countersRegistry {
		return Config{}, roles.Usagef("invalid value %q for --counters: want auto or registry", config.Counters)
	}
	var err error
	if config.StateDir, err = stateDir(c, s); err != nil {
		return Config{}, err
	}
	if err := config.fleet(c); err != nil {
		return Config{}, err
	}
	if config.ServerURL, err = serverapi.ParseURL(config.ServerURL); err != nil {
		return Config{}, roles.Usagef("invalid value for --server-url: %v", err)
	}
	return config, nil
}

// shortestConfirm is the smallest --confirm-within. It allows two polls.
const shortestConfirm = time.Second

// fleet sets the fields about the server.
func (c *Config) fleet(flags *cli.Context) error {
	c.ConfirmWithin, c.Wait, c.Token = flags.Duration("confirm-within"), flags.Bool("wait"), flags.String("enrolment-token")
	if c.ConfirmWithin < shortestConfirm {
		return roles.Usagef("invalid value %q for --confirm-within: want %v or more, such as 3m", c.ConfirmWithin,
			shortestConfirm)
	}
	for _, text := range flags.StringSlice("label") {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" || value == "" {
			return roles.Usagef("invalid value %q for --label: want NAME=VALUE", text)
		}
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[name] = value
	}
	for _, text := range flags.StringSlice("server-host") {
		host, err := hostName(text)
		if err != nil {
			return roles.Usagef("invalid value %q for --server-host: %v", text, err)
		}
		c.ServerHosts = append(c.ServerHosts, host)
	}
	if file := flags.String("operator-keys"); file != "" {
		keys, err := readOperatorKeys(file)
		if err != nil {
			return roles.Usagef("invalid value %q for --operator-keys: %v", file, err)
		}
		c.OperatorKeys = keys
	}
	c.CA = flags.String("ca")
	if _, err := serverapi.NewTransport(c.CA); err != nil {
		return roles.Usagef("invalid value %q for --ca: %v", c.CA, err)
	}
	return nil
}

// source returns the source of packet counts.
func (c Config) source(log *slog.Logger, links func() ([]netdev.Link, error)) source {
	if c.Source == "system" {
		if links == nil {
			links = netdev.System{}.Links
		}
		return &system{read: links, log: log, warned: map[string]bool{}}
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	if c.Seed != 0 {
		random = rand.New(rand.NewPCG(uint64(c.Seed), 0))
	}
	return &simulation{random: random}
}

// Package vpn is the role that maintains the peers of the VPN tunnel. The tunnel is simulated: peers drop and join at
// random. Observers of the tunnel's views see the changes. The package exports Role.
package vpn

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/poll"

	"github.com/urfave/cli/v2"
)

// Role is the vpn role.
var Role = roles.Role{
	Name: "vpn", Summary: "keep the peers of the VPN tunnel (simulated)", Command: command,
	Hooks: []roles.Hook{
		roles.ConfigureHook(runSpec, "drop-rate", "join-rate", "ranges", "seed", "interval"),
		observeControlTunnel(),
	},
}

func command(env *roles.Env) *cli.Command {
	return &cli.Command{Subcommands: []*cli.Command{roles.RunCommand(env, runSpec(env))}}
}

func runSpec(env *roles.Env) roles.RunSpec {
	return roles.RunSpec{
		Usage: "drop and add peers of the tunnel by chance",
		Description: "In each cycle a peer is dropped with the probability --drop-rate, and a peer with a random address from " +
			"--ranges joins with the probability --join-rate. If others change the tunnel meanwhile, their changes stay, and " +
			"vpn prints them. Exit status with --once: 0 if the cycle is done, 1 if the registry could not be read or written.",
		Example:  "aspects-poc vpn run --interval 10s --drop-rate 0.2",
		Interval: time.Minute,
		Flags: []cli.Flag{
			&cli.Float64Flag{Name: "drop-rate", Value: 0.1, Usage: "`PROBABILITY` that a peer is dropped in a cycle, 0 to 1"},
			&cli.Float64Flag{Name: "join-rate", Value: 0.1, Usage: "`PROBABILITY` that a peer joins in a cycle, 0 to 1"},
			&cli.StringSliceFlag{Name: "ranges", Value: cli.NewStringSlice(privateRanges()...),
				Usage: "IPv4 `PREFIXES` that peers join from, separated by commas, each as likely as the others"},
			&cli.Int64Flag{Name: "seed", Usage: "`NUMBER` that makes chance repeatable; 0 for real chance"},
		},
		Check: func(c *cli.Context, _ *roles.Settings) error {
			_, err := newConfig(c)
			return err
		},
		Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
			config, err := newConfig(c)
			if err != nil {
				return err
			}
			return run(ctx, env, config, s)
		},
	}
}

func run(ctx context.Context, env *roles.Env, config Config, s *roles.Settings) error {
	waker := poll.NewWaker()
	agent := &agent{
		Config: config, once: s.Once, out: env.Stdout, log: s.Log, random: config.random(),
		pace: attach.Pace{Interval: s.Interval}, wake: waker.Wake,
	}
	return attach.Run(ctx, attach.Options{
		Log: s.Log, Open: s.Open, Once: s.Once, Interval: s.Interval,
		Start: agent.start, Cycle: agent.cycle, Next: agent.pace.Left, Wake: waker.C(),
		FirstSlot: 5, Custodian: roles.Custodian,
	})
}

// Config has the settings of the role.
type Config struct {
	DropRate, JoinRate float64 // probabilities per cycle
	Ranges             Ranges  // prefixes of new peers
	Seed               int64   // 0 means real randomness
}

func newConfig(c *cli.Context) (Config, error) {
	config := Config{DropRate: c.Float64("drop-rate"), JoinRate: c.Float64("join-rate"), Seed: c.Int64("seed")}
	var err error
	if config.Ranges, err = parseRanges(c.StringSlice("ranges")); err != nil {
		return Config{}, err
	}
	return config, config.check()
}

func (c Config) check() error {
	for flag, rate := range map[string]float64{"drop-rate": c.DropRate, "join-rate": c.JoinRate} {
		if !(rate >= 0 && rate <= 1) { // also for NaN
			return roles.Usagef("invalid value \"%v\" for --%s: want a probability from 0 to 1", rate, flag)
		}
	}
	return nil
}

func (c Config) random() *rand.Rand {
	if c.Seed != 0 {
		return rand.New(rand.NewPCG(uint64(c.Seed), 0))
	}
	return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
}

// errNoRoom means that all addresses of a range are peers.
var errNoRoom = errors.New("every address of the range is a peer already")

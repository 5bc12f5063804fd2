// Package reporting is the role that reports figures of the network. The view control-telemetry says which figures
// and how often. Reports are text, JSON lines or Prometheus metrics. The package exports Role.
package reporting

import (
	"context"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/poll"

	"github.com/urfave/cli/v2"
)

// Role is the reporting role.
var Role = roles.Role{
	Name: "reporting", Summary: "report what control-telemetry asks for", Command: command,
	Hooks: []roles.Hook{
		roles.ConfigureHook(runSpec, "format", "interval", "counters-every", "prometheus"),
		observeControlTelemetry(), observeObserveDevice(), observeObserveTunnel(),
	},
}

// DefaultPause is the pause between two reports without a sample-rate.
const DefaultPause = time.Minute

func command(env *roles.Env) *cli.Command {
	return &cli.Command{Subcommands: []*cli.Command{roles.RunCommand(env, runSpec(env))}}
}

func runSpec(env *roles.Env) roles.RunSpec {
	return roles.RunSpec{
		Usage: "report device, packets and peers again and again",
		Description: "Reports are 60/sample-rate seconds apart (at least 0.1), and --interval where control-telemetry has " +
			"no sample-rate or 0. A changed setting takes effect at once. What is not there yet is reported as missing. " +
			"With --format json each report is one line: an object with time, device-id, packets-sent, packets-received " +
			"(packets by interface), tunnel-peers, missing (names of what is asked for and not there) and " +
			"next-run-seconds. Exit status with --once: 0 when reported, 1 when the registry could not be read.",
		Example:  "aspects-poc reporting run --once --format json",
		Interval: DefaultPause,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT` of the reports: text or json"},
			&cli.DurationFlag{Name: "counters-every", Value: time.Minute, Usage: "in a snap, `DURATION` for which packets are " +
				"reported as they were read last: reading them has snapd run a hook, and costs as much as a write"},
			&cli.StringFlag{Name: "prometheus", Usage: "loopback `ADDRESS`, such as 127.0.0.1:9100, on which Prometheus finds " +
				"the figures of the last report under /metrics; not with --once"},
		},
		Check: func(c *cli.Context, _ *roles.Settings) error {
			if format := c.String("format"); format != "text" && format != "json" {
				return roles.Usagef("invalid value %q for --format: want text or json", format)
			}
			if every := c.Duration("counters-every"); every < 0 {
				return roles.Usagef("invalid value %q for --counters-every: want a duration such as 1m, or 0", every)
			}
			if address := c.String("prometheus"); address != "" {
				if err := parseLoopback(address); err != nil {
					return roles.Usagef("invalid value %q for --prometheus: %v", address, err)
				}
			}
			return nil
		},
		Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
			waker := poll.NewWaker()
			agent := &agent{
				out: env.Stdout, json: c.String("format") == "json", log: s.Log, fallback: s.Interval, wake: waker.Wake,
				countersEvery: c.Duration("counters-every"),
			}
			if address := c.String("prometheus"); address != "" && !s.Once {
				agent.outlet = newOutlet(address, s.Log)
				defer agent.outlet.close()
			}
			return attach.Run(ctx, attach.Options{
				Log: s.Log, Open: s.Open, Once: s.Once, Interval: s.Interval,
				Start: agent.start, Cycle: agent.cycle, Next: agent.pace.Left, Wake: waker.C(),
				FirstSlot: 6, Custodian: roles.Custodian,
			})
		},
	}
}

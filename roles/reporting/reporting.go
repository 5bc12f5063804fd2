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
	Name: "reporting", Summary: "print the reports that control-telemetry asks for", Command: command,
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
		Usage: "print reports of device, packets and peers, until interrupted",
		Description: "Prints a report every 60/sample-rate seconds, at least 0.1 seconds apart; every --interval if " +
			"control-telemetry has no sample-rate or 0. A changed setting takes effect at once. Values that are " +
			"not there yet are reported as missing. With --format json each report is one line: an object with " +
			"time, device-id, packets-sent, packets-received (packets by interface), tunnel-peers, missing " +
			"(names of wanted values that are not there) and next-run-seconds. Exit status with --once: 0 if it " +
			"reported, 1 if it could not read the registry.",
		Example:  "aspects-poc reporting run --once --format json",
		Interval: DefaultPause,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT` of the reports: text or json"},
			&cli.DurationFlag{Name: "counters-every", Value: time.Minute, Usage: "in a snap: `DURATION` between two " +
				"reads of the packet counters, as snapd runs a hook for each read; reports in between repeat the " +
				"last values"},
			&cli.StringFlag{Name: "prometheus", Usage: "loopback `ADDRESS`, such as 127.0.0.1:9100, to serve the last " +
				"report at /metrics for Prometheus; not with --once"},
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

// Package fleetsim simulates the devices of a fleet to measure how much load a server can take. The devices register,
// sign, poll, apply and report as the control role does when nothing fails. It exports Role for the command, and Run
// for tests and benchmarks. Package oracle checks what a server says; fleetsim only counts.
//
// Run runs the devices of a Config against a server and returns a Summary. The load is open: polls are due at a fixed
// rate, however slow the server is, and a latency counts from the moment when the poll was due. A poll costs this
// process little, so that the server gets the processor: with a rate, signatures are made before the clock starts; the
// keys sign fast (keys.go); and the connections use only the HTTP that they need (wire.go).
package fleetsim

import (
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// Role is the fleet-sim command.
var Role = roles.Role{
	Name:    "fleet-sim",
	Summary: "simulate a fleet of devices, and measure the server's answers",
	Command: command,
	Tool:    true,
}

// Config has the settings of a fleet. It has many fields because each is a flag, which tests and benchmarks set one by
// one.
type Config struct {
	Server   string        // URL
	CAFile   string        // of certificates to trust; "" means the system's
	Devices  int           // number of devices
	Rate     float64       // polls a second; 0 means one for each device and Interval
	Interval time.Duration // between a device's polls; 0 means the interval that the server asks for
	Duration time.Duration // of polling
	Wait     time.Duration // for which a server may hold a poll; 0 means not at all
	Lines    int           // connections; 0 means 64, or one for each device with Wait
	Unsigned bool
	Changed  bool   // each poll reports something new
	Token    string // for enrolment
	Odd      Odd
	Labels   map[string][]string // of the devices; the devices get the values of a name in turn
	Names    string              // pattern of the devices' names, with # for the digits of their numbers; "" for no names
	Seed     uint64              // equal seeds make equal devices
	Timeout  time.Duration       // of a request; 0 means 10 seconds

	// Acknowledged, if not nil, is called after the server has answered a report. number is the report's count of
	// packets sent through eth0. It needs Changed.
	Acknowledged func(device uuid.UUID, number int64)
	// Progress, if not nil, is called with the progress of a phase.
	Progress func(phase string, done, of int)
}

func command(env *roles.Env) *cli.Command {
	return &cli.Command{
		Description: "Registers simulated devices with a server, has them poll at a fixed rate, and prints latencies " +
			"and errors. Simulated devices apply and report targets as real ones do, but accept " +
			"values that a real custodian refuses, such as a sample-rate of 61. A latency begins when the poll is due, so a slow server cannot hide waiting time. The devices' keys are weak: use a server of " +
			"your own, and delete the devices afterwards (label device.simulated). The same --seed makes the same " +
			"devices, and a server does not register them twice. Exit status: 0 if no poll failed, else 1.",
		UsageText: "aspects-poc fleet-sim --devices 1000 --server-url http://127.0.0.1:8000\n" +
			"aspects-poc fleet-sim --devices 1000 --rate 2000 --duration 30s --json\n" +
			"aspects-poc fleet-sim --devices 10000 --wait 60s\n" +
			"aspects-poc fleet-sim --devices 2000 --refuse 2% --fail 1% --drift 1% --silent 5% --label site=berlin",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "server-url", Aliases: []string{"server"}, Value: "http://127.0.0.1:8000", Usage: "`URL` of the server"},
			&cli.StringFlag{Name: "ca", Usage: "`FILE` with the CA certificates to trust instead of the system's"},
			&cli.IntFlag{Name: "devices", Value: 100, Usage: "`NUMBER` of devices"},
			&cli.Float64Flag{Name: "rate", Usage: "`NUMBER` of polls a second, of all devices together (default: from " +
				"the server's poll interval)"},
			&cli.DurationFlag{Name: "interval", Usage: "`DURATION` between a device's polls (default: what the server asks for)"},
			&cli.DurationFlag{Name: "duration", Value: time.Minute, Usage: "`DURATION` of polling"},
			&cli.DurationFlag{Name: "wait", Usage: "let polls wait for this `DURATION`, each device on its own " +
				"connection"},
			&cli.IntFlag{Name: "connections", Usage: "`NUMBER` of connections that devices share (default: 64)"},
			&cli.BoolFlag{Name: "unsigned", Usage: "do not sign requests"},
			&cli.BoolFlag{Name: "changed", Usage: "change the report for each poll"},
			&cli.StringFlag{Name: "refuse", Usage: "`SHARE` of the devices that refuse targets, such as 2%"},
			&cli.StringFlag{Name: "fail", Usage: "`SHARE` of the devices that cannot apply targets"},
			&cli.StringFlag{Name: "drift", Usage: "`SHARE` of the devices that run another value than they apply"},
			&cli.StringFlag{Name: "silent", Usage: "`SHARE` of the devices that register and never poll"},
			&cli.StringSliceFlag{Name: "label", Usage: "`KEY=VALUE`, a label of the devices, with the prefix device.; may be " +
				"repeated; devices take the values of a KEY in turn"},
			&cli.StringFlag{Name: "names", Usage: "`PATTERN` of the names that the devices suggest, with # in the places of the digits of " +
				"their numbers, such as shop-####"},
			&cli.StringFlag{Name: "enrolment-token", Usage: "enrolment `TOKEN`, for a server that asks for one"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the devices' keys are made"},
			&cli.BoolFlag{Name: "json", Usage: "print the summary as JSON"},
		},
		Action: func(c *cli.Context) error { return simulate(env, c) },
	}
}

func simulate(env *roles.Env, c *cli.Context) error {
	if c.Args().Present() {
		return roles.Usagef("unexpected argument %q: fleet-sim takes flags only", c.Args().First())
	}
	config := Config{
		Server: c.String("server-url"), CAFile: c.String("ca"), Devices: c.Int("devices"), Rate: c.Float64("rate"),
		Interval: c.Duration("interval"), Duration: c.Duration("duration"), Wait: c.Duration("wait"),
		Lines: c.Int("connections"), Unsigned: c.Bool("unsigned"), Changed: c.Bool("changed"),
		Token: c.String("enrolment-token"), Seed: c.Uint64("seed"), Names: c.String("names"),
	}
	var err error
	if config.Odd, err = parseOdd(c.String); err == nil {
		config.Labels, err = parseLabels(c.StringSlice("label"))
	}
	if err == nil {
		err = config.check()
	}
	if err != nil {
		return roles.Usagef("%s", err)
	}
	if roles.IsTerminal(env.Stderr) {
		bar := &bar{out: env.Stderr}
		config.Progress = bar.show
		defer bar.clear()
	}
	summary, err := Run(c.Context, config)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = summary.writeJSON(env.Stdout)
	} else {
		err = summary.writeText(env.Stdout)
	}
	if err == nil && summary.Failed > 0 {
		err = fmt.Errorf("%d of %d polls failed", summary.Failed, summary.Polls+summary.Failed)
	}
	return err
}

// check returns an error for invalid settings. The error names the flag.
func (c Config) check() error {
	if _, err := serverapi.ParseURL(c.Server); err != nil {
		return err
	}
	switch {
	case c.Devices < 1 || c.Devices > 1<<24:
		return fmt.Errorf("invalid value \"%d\" for --devices: want 1 to %d", c.Devices, 1<<24)
	case c.Rate < 0:
		return fmt.Errorf("invalid value \"%v\" for --rate: want 0 or more", c.Rate)
	case c.Interval < 0:
		return fmt.Errorf("invalid value %q for --interval: want 0 or more", c.Interval)
	case c.Wait < 0:
		return fmt.Errorf("invalid value %q for --wait: want 0 or more", c.Wait)
	case c.Lines < 0:
		return fmt.Errorf("invalid value \"%d\" for --connections: want 0 or more", c.Lines)
	case c.Rate > 0 && c.Interval > 0:
		return fmt.Errorf("--rate and --interval say the same in two ways: give one of them")
	case c.Rate > 0 && c.Wait > 0:
		return fmt.Errorf("--rate is for polls that are due at a time: those of --wait follow one another")
	case c.Duration <= 0:
		return fmt.Errorf("invalid value %q for --duration: want more than nothing", c.Duration)
	case c.Names != "" && !strings.Contains(c.Names, "#"):
		return fmt.Errorf("invalid value %q for --names: want a # in the place of the devices' numbers", c.Names)
	case c.Wait > serverapi.MaxWait*time.Second:
		return fmt.Errorf("invalid value %q for --wait: servers hold polls back for %d seconds at most", c.Wait,
			serverapi.MaxWait)
	}
	return c.Odd.check(c.Devices)
}

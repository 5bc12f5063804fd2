package kitcmd

import (
	"fmt"
	"strings"
	"syscall"

	"aspects-poc/internal/kit/hookrun"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagRegistry = "registry"
	flagShell    = "shell"
)

func run(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "run an app of a snap that registry dev has installed", ArgsUsage: "SNAP[.APP] " + roles.OthersArguments,
		Description: "Runs an app as snap run does, without the files of a real snapd. The app has the snap's " +
			"environment, its command-chain and the snap's snapctl, but no confinement, and runs as this user. " +
			"SNAP alone runs the app with the snap's name. With --shell it starts a shell in the snap's " +
			"environment instead; this also works for a snap without apps.",
		UsageText: "aspects-poc registry run --shell custodian",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagSocket, Usage: "`PATH` on which registry dev listens (default: that of registry " +
				"dev)"},
			&cli.StringFlag{Name: flagRegistry, Usage: "`ADDRESS` of registry dev, as in other commands: snapd:SOCKET; " +
				"--socket overrides it"},
			&cli.BoolFlag{Name: flagShell, Usage: "run a shell instead of the app, with the arguments"},
		},
		Action: func(c *cli.Context) error { return runRun(env, c) },
	}
}

func runRun(env *roles.Env, c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) == 0 {
		return roles.Usagef("no app given: want SNAP.APP, or --%s and the name of a snap", flagShell)
	}
	given := c.String(flagSocket)
	if address := c.String(flagRegistry); given == "" && address != "" {
		var ok bool
		if given, ok = strings.CutPrefix(address, "snapd:"); !ok {
			return roles.Usagef("invalid value %q for --%s: want snapd:SOCKET, on which registry dev listens", address, flagRegistry)
		}
	}
	socket, err := socketPath(env, given)
	if err != nil {
		return err
	}
	program, err := hookrun.AskProgram(c.Context, socket, args[0], c.Bool(flagShell), args[1:])
	if err != nil {
		return err
	}
	environment := program.Env
	if term := env.Getenv("TERM"); term != "" {
		environment = append(environment, "TERM="+term)
	}
	// exec replaces this process, so that the app has the terminal, the signals and the exit code.
	err = syscall.Exec(program.Args[0], program.Args, environment)
	return fmt.Errorf("cannot run %s: %s: %w", args[0], program.Args[0], err)
}

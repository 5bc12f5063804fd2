// Package kitcmd has the development kit's subcommands of the registry command: lint, build, show, new, serve, dev, run,
// test and assertion. Its main entry is Commands. What they do is in internal/kit; what they share with other commands,
// such as flags and colours, is in package roles. Binaries for devices leave it out.
//
// One file per subcommand, and one line in Commands.
package kitcmd

import (
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// Commands are the subcommands, in the order of the list that help prints.
func Commands(env *roles.Env) []*cli.Command {
	return []*cli.Command{
		assertion(env),
		lintCommand(env),
		build(env),
		show(env),
		newCommand(env),
		serve(env),
		dev(env),
		run(env),
		test(env),
	}
}

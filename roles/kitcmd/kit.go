// Package kitcmd has the development kit's subcommands of the registry command: lint, explain, fmt, lsp, build, show, generate,
// new, serve, dev, run, test and assertion. Its main function is Commands. The packages in internal/kit do the work; package roles has
// what all commands share, such as flags and colours. Binaries for devices leave this package out.
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
		explain(env),
		fmtCommand(env),
		lspCommand(env),
		build(env),
		show(env),
		generate(env),
		newCommand(env),
		serve(env),
		dev(env),
		run(env),
		test(env),
	}
}

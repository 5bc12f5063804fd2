// Package kitcmd has the development kit's subcommands of the registry command: lint, explain, fmt, lsp, build, show,
// generate, new, serve, dev, run, test and assertion. Its main function is Commands. The packages in internal/kit do
// the work; package roles has what all commands share, such as flags and colours. Device binaries leave this package
// out.
//
// Each subcommand has a file of its own, and a line in Commands.
package kitcmd

import (
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// Commands returns the subcommands in the order of help.
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

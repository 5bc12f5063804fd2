package kitcmd

import (
	"fmt"
	"io"

	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/lsp"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func lspCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "lsp", Usage: "serve an editor: diagnostics, quick fixes, completion, rename",
		Description: "Speaks the Language Server Protocol on standard input and output, for confdb-schemas, snapcraft.yaml, " +
			"hooks and test scripts. An editor starts it; docs/editor.md has the settings for Neovim, Helix, Emacs " +
			"and VS Code.",
		UsageText: "aspects-poc registry lsp",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "stdio", Usage: "does nothing: some editors give it"},
		},
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			if len(roles.Args(c)) > 0 {
				return roles.Usagef("lsp takes no arguments: an editor starts it and speaks on standard input")
			}
			stream := struct {
				io.Reader
				io.Writer
			}{env.Stdin, env.Stdout}
			return lsp.Serve(c.Context, stream, lsp.Options{Version: roles.Version, Explain: lint.Markdown,
				Report: func(what string, err any) { _, _ = fmt.Fprintf(env.Stderr, "%s: %v\n", what, err) }})
		},
	}
}

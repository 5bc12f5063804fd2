package kitcmd

import (
	generated "aspects-poc/internal/kit/generate"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func generatePython(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "python", Usage: "write a Python module with typed access to the views", ArgsUsage: "FILE",
		Description: "The module needs Python 3.8 or later, and no other modules. It has a class for each view and a dataclass for each kind of map. " +
			"In a snap, also in hooks, it uses snapctl; elsewhere it uses snapd's socket. " + generateFile,
		UsageText: "aspects-poc registry generate python -o network.py network.yaml\n" +
			"aspects-poc registry generate python --check -o network.py network.yaml",
		Flags:           generateFlags(),
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			from, err := generateFrom(c)
			if err != nil {
				return err
			}
			return writeGenerated(env, c, []byte(from.Python()))
		},
	}
}

func generateGo(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "go", Usage: "write a Go package with typed access to the views", ArgsUsage: "FILE",
		Description: "The package uses the packages registry and registry/typed of this project. It has a struct for each view, and " +
			"checks values before it writes them. " + generateFile,
		UsageText: "aspects-poc registry generate go -o network.go network.yaml\n" +
			"aspects-poc registry generate go --package settings --check -o network.go network.yaml",
		Flags: generateFlags(
			&cli.StringFlag{Name: flagPackage, Usage: "`NAME` of the package (default: that of the confdb-schema)"}),
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			from, err := generateFrom(c)
			if err != nil {
				return err
			}
			text, err := from.Go(c.String(flagPackage))
			if err != nil {
				return err
			}
			return writeGenerated(env, c, text)
		},
	}
}

func generateDocs(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "docs", Usage: "write the documentation of the views, in Markdown or HTML", ArgsUsage: "FILE",
		Description: "The page has a table for each view: request path, type, constraints, who reads and writes it, where it is stored; " +
			"examples for the snap command; and a diagram of the views over the storage. " + generateFile,
		UsageText: "aspects-poc registry generate docs -o network.md network.yaml\n" +
			"aspects-poc registry generate docs --format html -o network.html network.yaml",
		Flags: generateFlags(
			&cli.StringFlag{Name: flagFormat, Value: "markdown", Usage: "`markdown|html`"}),
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			var print func(*generated.Source) string
			switch format := c.String(flagFormat); format {
			case "markdown":
				print = (*generated.Source).Markdown
			case "html":
				print = (*generated.Source).HTML
			default:
				return roles.Usagef("invalid value %q for --%s: want markdown or html", format, flagFormat)
			}
			from, err := generateFrom(c)
			if err != nil {
				return err
			}
			return writeGenerated(env, c, []byte(print(from)))
		},
	}
}

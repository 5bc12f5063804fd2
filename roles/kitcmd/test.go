package kitcmd

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagSchema   = "schema-file"
	flagSnap     = "snap"
	flagServices = "services"
	flagWatch    = "watch"

	flagCoverageHTML = "coverage-html"
	testsFolder      = "tests"
)

// machineFlags returns the flags of the commands that make an imitated machine.
func machineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: flagSchema, Aliases: []string{"c"}, Usage: "`FILE` with a confdb-schema: YAML, JSON for " +
			"snap sign, or an assertion; may be repeated"},
		&cli.StringFlag{Name: flagAccount, Usage: "account `ID` in place of the one in the files"},
		&cli.BoolFlag{Name: flagServices, Usage: "start the snaps' services as well"},
	}
}

func test(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "run test scripts on an imitated snapd", ArgsUsage: "[FILE|DIR …]",
		Description: "Runs scripts in testscript's format: the named ones, or those in the folder tests. Each script " +
			"has an imitated snapd of its own, and several run at a time. Snaps' hooks run as processes, without " +
			"confinement. A script finds its own files first, then those of the working directory " +
			"($PROJECT).\n\nScripts have testscript's commands (exec, stdout, stderr, cmp, grep, …), and set, get, " +
			"expect, fail, install, connect, snapctl-as and more. --commands lists them; docs/devkit/test.md has " +
			"examples.",
		UsageText: "aspects-poc registry test --schema-file network.yaml --snap ./custodian --junit report.xml --coverage",
		Flags: append(machineFlags(),
			&cli.StringSliceFlag{Name: flagSnap, Aliases: []string{"s"}, Usage: "`DIR` with a snap's source, installed " +
				"and connected in each script; may be repeated"},
			&cli.StringFlag{Name: "junit", Usage: "`FILE` to write JUnit's XML to"},
			&cli.BoolFlag{Name: "coverage", Usage: "print the rules, accesses and hooks that no script uses"},
			&cli.StringFlag{Name: flagCoverageHTML, Usage: "`FILE` for a page that shows the same in the confdb-schemas"},
			&cli.IntFlag{Name: "parallel", Aliases: []string{"p"}, Usage: "run `N` scripts at a time; 0: one per processor"},
			&cli.StringFlag{Name: flagFormat, Value: string(lint.Text), Usage: "print failures as `text|github`; " +
				"github also annotates their lines"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print the whole log of each script"},
			&cli.BoolFlag{Name: "commands", Usage: "list the commands of scripts, and run none"},
			&cli.BoolFlag{Name: "update", Usage: "update files in scripts where cmp finds a difference"},
			&cli.StringFlag{Name: flagShell, Usage: "run the script in `FILE[:LINE]` up to before the line, or to its end, and " +
				"open a shell on its machine"},
			&cli.BoolFlag{Name: flagWatch, Aliases: []string{"w"}, Usage: "run scripts again when they, or what they name, change; until interrupted"},
		),
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runTest(env, c) },
	}
}

func runTest(env *roles.Env, c *cli.Context) error {
	if c.Bool("commands") {
		_, err := fmt.Fprint(env.Stdout, script.Usage())
		return err
	}
	format := lint.Format(c.String(flagFormat))
	if format != lint.Text && format != lint.GitHub {
		return roles.Usagef("invalid value %q for --%s: want one of %v", format, flagFormat, []lint.Format{lint.Text, lint.GitHub})
	}
	files := roles.Args(c)
	if len(files) == 0 {
		files = []string{testsFolder}
	}
	account := c.String(flagAccount)
	var read sourceList
	schemas, err := readSchemas(c.StringSlice(flagSchema), account, read.read)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	options := script.Options{
		Files: files, Schemas: schemas, Snaps: c.StringSlice(flagSnap), Program: program, Account: account,
		ReadSchema:  func(path string) ([]facts.Schema, error) { return read.read(path, account) },
		RunServices: c.Bool(flagServices), Parallel: c.Int("parallel"), Verbose: c.Bool("verbose"), Update: c.Bool("update"),
	}
	if at := c.String(flagShell); at != "" {
		return testShell(env, c, at, options)
	}
	printer := &testPrinter{env: env, verbose: c.Bool("verbose"), github: format == lint.GitHub, again: shellCommand(c)}
	options.Done = printer.done
	if c.Bool(flagWatch) {
		return testWatch(env, c, options, printer)
	}
	report, err := script.Run(c.Context, options)
	if err != nil {
		return err
	}
	if path := c.String("junit"); path != "" {
		var text bytes.Buffer
		if err := report.JUnit(&text); err != nil {
			return err
		}
		if err := durable.Write(path, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if c.Bool("coverage") {
		if err := report.Coverage.Print(env.Stdout); err != nil {
			return err
		}
	}
	if path := c.String(flagCoverageHTML); path != "" {
		var page bytes.Buffer
		if err := report.Coverage.HTML(&page, read.list); err != nil {
			return err
		}
		if err := durable.Write(path, page.Bytes(), 0o644); err != nil {
			return err
		}
	}
	failed := report.Failed()
	if failed == 0 && printer.err == nil {
		_, err = fmt.Fprintf(env.Stdout, "%d passed in %v\n", len(report.Results), report.Took.Round(time.Millisecond))
		return err
	}
	if printer.err != nil {
		return printer.err
	}
	return fmt.Errorf("%d of %d scripts failed", failed, len(report.Results))
}

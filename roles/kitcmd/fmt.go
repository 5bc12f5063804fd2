package kitcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	schemadoc "aspects-poc/internal/document"
	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const flagList = "list"

func fmtCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "fmt", Usage: "write confdb-schemas in the canonical layout", ArgsUsage: "FILE …",
		Description: "Rewrites FILE: indented by two spaces, one empty line at most, and for JSON and assertions the body in the " +
			"layout that snapd demands. Comments, the order of keys and the content stay. It refuses signed assertions, " +
			"and templates that are not YAML. - reads standard input and writes to standard output.",
		UsageText: "aspects-poc registry fmt network.yaml\naspects-poc registry fmt --check *.yaml",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: flagList, Aliases: []string{"l"}, Usage: "print the names of files that would change, and change nothing"},
			&cli.BoolFlag{Name: flagCheck, Usage: "as --list, and fail if a file would change"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runFmt(env, c) },
	}
}

func runFmt(env *roles.Env, c *cli.Context) error {
	files := roles.Args(c)
	if len(files) == 0 {
		return roles.Usagef("no file given: name a confdb-schema, or - for standard input")
	}
	list := c.Bool(flagList) || c.Bool(flagCheck)
	changed := 0
	var failures []error
	for _, file := range files {
		text, err := readForFmt(env, file)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		formatted, err := schemadoc.Format(file, text)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		same := bytes.Equal(text, formatted)
		if !same {
			changed++
		}
		switch {
		case list:
			if !same {
				_, err = fmt.Fprintln(env.Stdout, file)
			}
		case file == "-":
			_, err = env.Stdout.Write(formatted)
		case !same:
			err = rewrite(file, formatted)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	if changed > 0 && c.Bool(flagCheck) {
		failures = append(failures, fmt.Errorf("not in the canonical layout: %d of %d files; aspects-poc registry fmt rewrites them", changed, len(files)))
	}
	return errors.Join(failures...)
}

// maxInput is how much of standard input is read: one byte more than the largest confdb-schema.
const maxInput = schemadoc.MaxSize + 1

func readForFmt(env *roles.Env, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(env.Stdin, maxInput))
	}
	return regular.Read(file)
}

// rewrite replaces the text of a file atomically. It writes through a link, and preserves the file's mode.
func rewrite(file string, text []byte) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return durable.Write(file, text, info.Mode().Perm())
}

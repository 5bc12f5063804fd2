package kitcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/viewschema"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagView   = "view"
	flagAccess = "access"
	flagCheck  = "check"
)

func generate(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "generate", Usage: "make files for other tools from a confdb-schema",
		Subcommands: []*cli.Command{generateJSONSchema(env)},
	}
}

func generateJSONSchema(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "json-schema", Usage: "describe the data of the views as JSON Schema", ArgsUsage: "FILE",
		Description: "FILE is a confdb-schema in YAML, JSON or as an assertion. The output is JSON Schema (2020-12): of an object " +
			"with one member for each view, as a target's config has it, or of the data of one --view. Editors complete and check " +
			"files with it. snapd decides in the end: the description does not know what is stored already, nor field filters. " +
			"With --check nothing is written, and a file that differs is an error.",
		UsageText: "aspects-poc registry generate json-schema -o targets.schema.json network.yaml\n" +
			"aspects-poc registry generate json-schema --check -o targets.schema.json network.yaml\n" +
			"aspects-poc registry generate json-schema --view control-telemetry --access read network.yaml",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagView, Usage: "only the data of this `VIEW`"},
			&cli.StringFlag{Name: flagAccess, Value: "write", Usage: "describe what can be written, or what is read: `write|read`"},
			&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "`FILE` to write to instead"},
			&cli.BoolFlag{Name: flagCheck, Usage: "compare with the file of --output instead of writing it"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runGenerateJSONSchema(env, c) },
	}
}

func runGenerateJSONSchema(env *roles.Env, c *cli.Context) error {
	access := viewschema.Write
	switch text := c.String(flagAccess); text {
	case "write":
	case "read":
		access = viewschema.Read
	default:
		return roles.Usagef("invalid value %q for --%s: want write or read", text, flagAccess)
	}
	file, err := onlyFile(c)
	if err != nil {
		return err
	}
	read, err := engineSchema(file)
	if err != nil {
		return err
	}
	schema := read.Parsed
	described, title := viewschema.All(schema, access), schema.Name
	if view := c.String(flagView); view != "" {
		if schema.View(view) == nil {
			return fmt.Errorf("%s has no view %q, it has %s", file, view, strings.Join(schema.Views(), ", "))
		}
		var ok bool
		if described, ok = viewschema.Of(schema, view, access); !ok {
			return fmt.Errorf("view %q of %s has no rule to %s: try another --%s", view, file, c.String(flagAccess), flagAccess)
		}
		title += "/" + view
	}
	described["title"] = title
	described["$comment"] = "Generated from " + filepath.Base(file) + " by aspects-poc registry generate json-schema. Do not edit."
	text, err := json.MarshalIndent(described, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot describe %s: %w", file, err)
	}
	return writeGenerated(env, c, append(text, '\n'))
}

// engineSchema reads the only confdb-schema of a file. Whose it is does not matter.
func engineSchema(file string) (facts.Schema, error) {
	docs, err := parseFile(file)
	if err != nil {
		return facts.Schema{}, err
	}
	if len(docs) != 1 {
		return facts.Schema{}, fmt.Errorf("%s has %d confdb-schemas: want one", file, len(docs))
	}
	account := ""
	if docs[0].Header("account-id") == "" || docs[0].Unfilled("account-id") {
		account = "account"
	}
	schemas, err := readSchema(file, account)
	if err != nil {
		return facts.Schema{}, err
	}
	return schemas[0], nil
}

// writeGenerated writes to standard output or to the file of --output, or compares that with --check.
func writeGenerated(env *roles.Env, c *cli.Context, text []byte) error {
	file := c.String(flagOutput)
	switch {
	case c.Bool(flagCheck) && file == "":
		return roles.Usagef("--%s compares with a file: give --%s", flagCheck, flagOutput)
	case c.Bool(flagCheck):
		present, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s does not exist: run the command without --%s", file, flagCheck)
		}
		if err != nil {
			return fmt.Errorf("cannot compare: %w", err)
		}
		if !bytes.Equal(present, text) {
			return fmt.Errorf("%s is not what would be generated: run the command without --%s", file, flagCheck)
		}
		return nil
	case file != "":
		return durable.Write(file, text, 0o644)
	}
	_, err := env.Stdout.Write(text)
	return err
}

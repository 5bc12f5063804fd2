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
	generated "aspects-poc/internal/kit/generate"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/viewschema"
	"aspects-poc/roles"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"
)

const (
	flagView    = "view"
	flagAccess  = "access"
	flagCheck   = "check"
	flagName    = "name"
	flagOf      = "of"
	flagPackage = "package"
)

func generate(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "generate", Usage: "make code, documentation and descriptions from a confdb-schema",
		Subcommands: []*cli.Command{generateGo(env), generatePython(env), generateDocs(env), generateJSONSchema(env)},
	}
}

// generateFlags returns the flags of all generators, after the command's own.
func generateFlags(own ...cli.Flag) []cli.Flag {
	return append(own,
		&cli.StringFlag{Name: flagName, Usage: "`NAME` of the confdb-schema, if FILE has several"},
		&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "`FILE` to write to instead"},
		&cli.BoolFlag{Name: flagCheck, Usage: "compare with the file of --output instead of writing it, and print the differences"})
}

const generateFile = "FILE is a confdb-schema in YAML, JSON or as an assertion. The first lines of the output name its source; the output depends on " +
	"nothing else. With --check the command writes nothing, and fails if the file differs."

func generateJSONSchema(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "json-schema", Usage: "describe the data of the views as JSON Schema", ArgsUsage: "FILE",
		Description: "FILE is a confdb-schema in YAML, JSON or as an assertion. The output is JSON Schema (2020-12): of an object " +
			"with one member for each view, like a target's config, or of the data of one --view. Editors complete and check " +
			"files with it. snapd may refuse what fits: JSON Schema does not express the stored values, or field filters. " +
			"With --of schema-files it describes confdb-schemas themselves, as people write them in YAML or JSON, and needs no FILE. " +
			"With --check the command writes nothing, and fails if the file differs.",
		UsageText: "aspects-poc registry generate json-schema -o targets.schema.json network.yaml\n" +
			"aspects-poc registry generate json-schema --check -o targets.schema.json network.yaml\n" +
			"aspects-poc registry generate json-schema --view control-telemetry --access read network.yaml\n" +
			"aspects-poc registry generate json-schema --of schema-files -o confdb-schema.schema.json",
		Flags: generateFlags(
			&cli.StringFlag{Name: flagOf, Value: "views", Usage: "describe the data of views, or confdb-schemas: `views|schema-files`"},
			&cli.StringFlag{Name: flagView, Usage: "only the data of this `VIEW`"},
			&cli.StringFlag{Name: flagAccess, Value: "write", Usage: "describe what can be written, or what is read: `write|read`"}),
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
	switch of := c.String(flagOf); {
	case of == "schema-files" && len(roles.Args(c)) > 0:
		return roles.Usagef("--%s %s needs no file", flagOf, of)
	case of == "schema-files":
		return writeGenerated(env, c, generated.SchemaFiles())
	case of != "views":
		return roles.Usagef("invalid value %q for --%s: want views or schema-files", of, flagOf)
	}
	file, read, err := engineSchema(c)
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
	from, err := generated.New(filepath.Base(file), generator(), read.Parsed, read.Document)
	if err != nil {
		return err
	}
	described["$comment"] = strings.Join(from.Header("json-schema"), " ")
	text, err := json.MarshalIndent(described, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot describe %s: %w", file, err)
	}
	return writeGenerated(env, c, append(text, '\n'))
}

// engineSchema reads the confdb-schema that a command names. The account of the schema does not matter.
func engineSchema(c *cli.Context) (file string, _ facts.Schema, _ error) {
	file, err := onlyFile(c)
	if err != nil {
		return "", facts.Schema{}, err
	}
	docs, err := parseFile(file)
	if err != nil {
		return "", facts.Schema{}, err
	}
	wanted, at := c.String(flagName), 0
	var names []string
	for i, doc := range docs {
		names = append(names, doc.Header("name"))
		if doc.Header("name") == wanted {
			at = i
		}
	}
	switch {
	case wanted == "" && len(docs) != 1:
		return "", facts.Schema{}, roles.Usagef("%s has %d confdb-schemas: choose one with --%s: %s", file, len(docs), flagName, strings.Join(names, ", "))
	case wanted != "" && names[at] != wanted:
		return "", facts.Schema{}, fmt.Errorf("%s has no confdb-schema %q, it has %s", file, wanted, strings.Join(names, ", "))
	}
	account := ""
	if docs[at].Header("account-id") == "" || docs[at].Unfilled("account-id") {
		account = "account"
	}
	read, err := machineSchemas(file, docs[at:at+1], account)
	if err != nil {
		return "", facts.Schema{}, err
	}
	return file, read[0], nil
}

// generateFrom reads the confdb-schema of a command for a generator.
func generateFrom(c *cli.Context) (*generated.Source, error) {
	file, read, err := engineSchema(c)
	if err != nil {
		return nil, err
	}
	return generated.New(filepath.Base(file), generator(), read.Parsed, read.Document)
}

// generator returns the name of this program for headers.
func generator() string { return roles.Program + " " + roles.ShortVersion() }

// writeGenerated writes a text to standard output or to the file of --output. With --check it compares the text with
// that file, and returns an error if they differ.
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
		if bytes.Equal(present, text) {
			return nil
		}
		if _, err := env.Stdout.Write(diff.Diff(file, present, "generated", text)); err != nil {
			return err
		}
		return fmt.Errorf("%s is not what would be generated: run the command without --%s", file, flagCheck)
	case file != "":
		return durable.Write(file, text, 0o644)
	}
	_, err := env.Stdout.Write(text)
	return err
}

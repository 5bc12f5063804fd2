package kitcmd

import (
	"bytes"
	"encoding/json"
	"fmt"

	schemadoc "aspects-poc/internal/document"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func show(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print a confdb-schema as YAML", ArgsUsage: "FILE",
		Description: "FILE is a signed assertion, JSON for snap sign, or YAML. The output is YAML, with the comments of a YAML " +
			"file; registry build makes the same confdb-schema from it. If FILE has several assertions, the output has " +
			"all their confdb-schemas. The command does not verify signatures.",
		UsageText: "snap known confdb-schema name=network > network.assert\n" +
			"aspects-poc registry show network.assert > network.yaml",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAccount, Usage: "account `ID` in place of the one in the file"},
			&cli.StringFlag{Name: flagFormat, Value: "yaml", Usage: "print `yaml|json`; JSON has the storage schema as an object, not as text"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runShow(env, c) },
	}
}

func runShow(env *roles.Env, c *cli.Context) error {
	format := c.String(flagFormat)
	if format != "yaml" && format != "json" {
		return roles.Usagef("invalid value %q for --%s: want yaml or json", format, flagFormat)
	}
	account := c.String(flagAccount)
	if err := validAccount(account); err != nil {
		return err
	}
	file, err := onlyFile(c)
	if err != nil {
		return err
	}
	docs, err := parseFile(file)
	if err != nil {
		return err
	}
	var texts [][]byte
	for _, doc := range docs {
		if doc.Body == nil {
			return fmt.Errorf("cannot show %s: %s", doc.File, whyNoBody(doc))
		}
		if account != "" {
			doc.SetAccount(account)
		}
		print := doc.YAML
		if format == "json" {
			print = func() ([]byte, error) { return sourceJSON(doc) }
		}
		text, err := print()
		if err != nil {
			return fmt.Errorf("cannot show %s: %w", doc.File, err)
		}
		texts = append(texts, text)
	}
	between := "---\n"
	if format == "json" {
		between = ""
	}
	_, err = env.Stdout.Write(bytes.Join(texts, []byte(between)))
	return err
}

func whyNoBody(doc *schemadoc.Document) string {
	for _, fault := range doc.Faults {
		if fault.Kind == schemadoc.BadBody {
			return fmt.Sprintf("%s, at line %d", fault.Message, fault.Pos.Line)
		}
	}
	return "it has no body"
}

// sourceJSON returns a document as JSON with its parts side by side. Parse reads it as the same document.
func sourceJSON(doc *schemadoc.Document) ([]byte, error) {
	object, ok := doc.Headers.Value().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it has no headers")
	}
	for _, key := range doc.Body.Keys() {
		object[key] = doc.Body.Get(key).Value()
	}
	text, err := json.MarshalIndent(object, "", "  ")
	return append(text, '\n'), err
}

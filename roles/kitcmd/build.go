package kitcmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	schemadoc "aspects-poc/internal/document"
	"aspects-poc/internal/durable"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

const flagOutput = "output"

func build(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "print a confdb-schema as input for snap sign", ArgsUsage: "FILE",
		Description: "FILE is a confdb-schema in YAML. The output has all required headers, and the storage schema as text " +
			"in the layout and the --dialect that snapd demands. If snapd would " +
			"refuse the file, there is no output.",
		UsageText: "aspects-poc registry build --revision 2 network.yaml | snap sign -k default > network.assert",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAccount, Usage: "`ID` of the account that signs (default: the file's account-id)"},
			&cli.StringFlag{Name: flagRevision, Usage: "revision `N` (default: the file's)"},
			&cli.StringFlag{Name: flagTimestamp, Usage: "`TIME` in RFC 3339, or now (default: the file's, else SOURCE_DATE_EPOCH " +
				"if it is set, else now)"},
			&cli.StringFlag{Name: flagDialect, Value: string(network.ConfdbSchemaDialect),
				Usage: "dialect of the confdb-schema: `confdb-schema|confdb`"},
			&cli.BoolFlag{Name: flagNoAliases, Usage: "replace aliases by their types, for snapd 2.69 and 2.70"},
			&cli.StringFlag{Name: flagOutput, Aliases: []string{"o"}, Usage: "`FILE` to write to instead"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runBuild(env, c) },
	}
}

// onlyFile returns the single argument of a command. It returns a usage error for none or several.
func onlyFile(c *cli.Context) (string, error) {
	args := roles.Args(c)
	switch len(args) {
	case 0:
		return "", roles.Usagef("no file given")
	case 1:
		return args[0], nil
	}
	return "", roles.Usagef("unexpected argument %q: one file at a time", args[1])
}

func runBuild(env *roles.Env, c *cli.Context) error {
	options := schemadoc.SignOptions{Account: c.String(flagAccount), Dialect: network.Dialect(c.String(flagDialect)),
		NoAliases: c.Bool(flagNoAliases)}
	if err := validAccount(options.Account); err != nil {
		return err
	}
	if text := c.String(flagRevision); text != "" {
		revision, err := strconv.Atoi(text)
		if err != nil || revision < 0 || strings.HasPrefix(text, "+") {
			return roles.Usagef("invalid value %q for --%s: want a number such as 2", text, flagRevision)
		}
		options.Revision = &revision
	}
	if !slices.Contains(network.Dialects(), options.Dialect) {
		return roles.Usagef("invalid value %q for --%s: want one of %v", options.Dialect, flagDialect, network.Dialects())
	}
	file, err := onlyFile(c)
	if err != nil {
		return err
	}
	text, err := schemadoc.Read(file)
	if err != nil {
		return fmt.Errorf("cannot read the confdb-schema: %w", err)
	}
	doc, err := schemadoc.Parse(file, text)
	if err != nil {
		return err
	}
	if options.Account == "" && (doc.Header("account-id") == "" || doc.Unfilled("account-id")) {
		return roles.Usagef("whose confdb-schema is it? Give --%s, or write account-id into %s", flagAccount, doc.File)
	}
	if options.Account != "" {
		doc.SetAccount(options.Account)
	}
	switch {
	case options.Revision != nil:
		doc.SetRevision(*options.Revision)
	case doc.Unfilled("revision"):
		return roles.Usagef("which revision is it? Give --%s, or write revision into %s", flagRevision, doc.File)
	}
	if flag := c.String(flagTimestamp); flag != "" || doc.NeedsTimestamp() {
		if flag == "document" {
			return roles.Usagef("invalid value %q for --%s: %s has none", flag, flagTimestamp, doc.File)
		}
		if options.Timestamp, err = timestamp(flag, env.Getenv("SOURCE_DATE_EPOCH"), time.Now); err != nil {
			return err
		}
		doc.SetTimestamp(options.Timestamp)
	}
	if err := refuseToBuild(env, doc); err != nil {
		return err
	}
	signable, err := doc.SignInput(options)
	if err != nil {
		return fmt.Errorf("cannot build %s: %w", doc.File, err)
	}
	signable = append(signable, '\n')
	if file := c.String(flagOutput); file != "" {
		return durable.Write(file, signable, 0o644)
	}
	_, err = env.Stdout.Write(signable)
	return err
}

// refuseToBuild prints the findings and returns an error if snapd would refuse the document.
func refuseToBuild(env *roles.Env, doc *schemadoc.Document) error {
	findings := slices.DeleteFunc(lint.Check(doc, lint.Options{}), func(f lint.Finding) bool {
		return f.Level != lint.Error || f.Code == "signature"
	})
	if len(findings) == 0 {
		return nil
	}
	return errors.Join(writeFindings(env.Stderr, env, lint.Text, findings),
		fmt.Errorf("cannot build %s: snapd would refuse it: %s", doc.File, lint.Summary(findings)))
}

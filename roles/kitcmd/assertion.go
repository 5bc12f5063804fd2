package kitcmd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

const (
	flagAccount   = "account-id"
	flagRevision  = "revision"
	flagTimestamp = "timestamp"
	flagDialect   = "dialect"
	flagNoAliases = "no-aliases"
)

func assertion(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "assertion", Usage: "print the roles' confdb-schema as input for snap sign",
		Description: "The account that publishes the confdb-schema has to sign it, and each machine has to acknowledge " +
			"it. docs/devkit/publish.md shows all steps.\n\nsnapd 2.69 and later accept the dialect confdb-schema, from " +
			"2.71 on with aliases. 2.68 accepts confdb.",
		UsageText: "aspects-poc registry assertion --revision 2 | snap sign -k default > network.confdb-schema.assert",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAccount, Value: network.AccountID, Usage: "`ID` of the account that signs: the " +
				"publisher's, which the snaps' plugs name"},
			&cli.StringFlag{Name: flagRevision, Usage: "revision `N`: snapd replaces an assertion only by one with a higher " +
				"revision (default: that of this version)"},
			&cli.StringFlag{Name: flagTimestamp, Usage: "`TIME` in RFC 3339, not before the key was registered; document for " +
				"that of this version (default: SOURCE_DATE_EPOCH if it is set, else now)"},
			&cli.StringFlag{Name: flagDialect, Value: string(network.ConfdbSchemaDialect),
				Usage: "dialect of the confdb-schema: `confdb-schema|confdb`"},
			&cli.BoolFlag{Name: flagNoAliases, Usage: "replace aliases by their types, for snapd 2.69 and 2.70"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: assertion takes flags only", c.Args().First())
			}
			options, err := assertionOptions(env, c)
			if err != nil {
				return err
			}
			document, err := network.Assertion(options)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "%s\n", document)
			return err
		},
	}
}

func assertionOptions(env *roles.Env, c *cli.Context) (network.AssertionOptions, error) {
	options := network.AssertionOptions{
		Account: c.String(flagAccount), Dialect: network.Dialect(c.String(flagDialect)), NoAliases: c.Bool(flagNoAliases),
	}
	if err := network.ValidAccount(options.Account); err != nil {
		return options, roles.Usagef("invalid value for --%s: %v", flagAccount, err)
	}
	if text := c.String(flagRevision); text != "" {
		revision, err := strconv.Atoi(text)
		if err != nil || revision < 0 || strings.HasPrefix(text, "+") {
			return options, roles.Usagef("invalid value %q for --%s: want a number such as 2", text, flagRevision)
		}
		options.Revision = &revision
	}
	if !slices.Contains(network.Dialects(), options.Dialect) {
		return options, roles.Usagef("invalid value %q for --%s: want one of %v", options.Dialect, flagDialect, network.Dialects())
	}
	var err error
	options.Timestamp, err = timestamp(c.String(flagTimestamp), env.Getenv("SOURCE_DATE_EPOCH"), time.Now)
	return options, err
}

// timestamp returns the time for the assertion; zero means the document's own. The document's own is no default,
// because snapd refuses an assertion that is older than the key that signed it. It is right for builds that must not
// differ.
func timestamp(flag, epoch string, now func() time.Time) (time.Time, error) {
	switch {
	case flag == "document":
		return time.Time{}, nil
	case flag == "now", flag == "" && epoch == "":
		return now(), nil
	case flag != "":
		at, err := time.Parse(time.RFC3339, flag)
		if err != nil {
			return at, roles.Usagef("invalid value %q for --%s: want a time such as 2026-09-01T12:00:00Z, now or document",
				flag, flagTimestamp)
		}
		return at, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("invalid SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0), nil
}

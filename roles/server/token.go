package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

// tokenCommand returns the commands that make, list and revoke tokens directly in the database. The server may run
// meanwhile.
func tokenCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "make, list and revoke tokens of operators and devices",
		Description: "Makes, lists and revokes tokens. Operators send theirs as Authorization: Bearer TOKEN. Devices " +
			"register with an enrolment token if the server asks for one. A running server sees each change at " +
			"once. The commands read --state and --database from the same environment and configuration file as " +
			"run. The server's first start makes an operator's token and prints the name of its file.",
		UsageText:   "aspects-poc server token create anna\naspects-poc server token list",
		Subcommands: []*cli.Command{tokenCreate(env), tokenList(env), tokenRevoke(env)},
	}
}

func tokenFlags(own ...cli.Flag) []cli.Flag {
	own = append(own, stateFlag(), databaseFlag(), &cli.BoolFlag{Name: "json", Usage: "print JSON"})
	return append(own, roles.CommonFlags()...)
}

func tokenCreate(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "make a token, and print it once", ArgsUsage: "NAME",
		Description: "Makes a token for an operator, or with --enrol for devices that register, and prints it. The " +
			"server stores only a hash of it, so nobody can print the token again. Histories show the token's " +
			"name; a name is never used again.",
		UsageText: "aspects-poc server token create anna\n" +
			"aspects-poc server token create wall-screen --role viewer\n" +
			"aspects-poc server token create bert --role operator --scope site=berlin\n" +
			"aspects-poc server token create line-1 --enrol --label site=line-1 --uses 50 --expires 24h",
		SkipFlagParsing: true, // flags may follow the name
		Flags: tokenFlags(
			&cli.StringFlag{Name: "role", Usage: "what the holder may do, `viewer|operator|approver|admin`: a viewer reads; an operator " +
				"also changes layers and labels; an approver reads, approves and revokes devices, and without --scope continues releases; " +
				"an admin may do all (default: admin)"},
			&cli.StringSliceFlag{Name: "scope", Usage: "`KEY=VALUE`, a label of the devices that an operator or approver is limited " +
				"to; may be repeated"},
			&cli.BoolFlag{Name: "read-only", Usage: "the same as --role viewer"},
			&cli.BoolFlag{Name: "proxy", Usage: "the holder is a proxy with single sign-on, which names the person in each request; the " +
				"server believes that only of such a token"},
			&cli.BoolFlag{Name: "enrol", Usage: "make an enrolment token, with which devices register; a server with --enrolment open, " +
				"the default, ignores it"},
			&cli.Int64Flag{Name: "uses", Usage: "with --enrol: the `NUMBER` of devices that can register with it (0: " +
				"any number)"},
			&cli.StringSliceFlag{Name: "label", Usage: "with --enrol: `KEY=VALUE`, a label of all devices that " +
				"register with it; may be repeated"},
			roles.SpanFlag("expires", "`DURATION` for which the token is valid, such as 24h or 30d (0: for ever)"),
		),
		Action: func(c *cli.Context) error { return createToken(env, c) },
	}
}

func tokenList(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list tokens, including revoked ones",
		Description: "Lists the names, uses and times of tokens, not the tokens themselves. The time of an operator's " +
			"last use may be up to a minute old.",
		UsageText:       "aspects-poc server token list",
		SkipFlagParsing: true,
		Flags:           tokenFlags(),
		Action: func(c *cli.Context) error {
			if err := arguments(c, "list", 0); err != nil {
				return err
			}
			return withTokens(env, c, false, func(ctx context.Context, store access.Store) error {
				list, err := store.Tokens(ctx)
				if err != nil {
					return err
				}
				return printTokens(env.Stdout, list, c.Bool("json"), time.Now())
			})
		},
	}
}

func tokenRevoke(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "revoke", Usage: "revoke a token for good", ArgsUsage: "NAME",
		Description: "Revokes a token: the server refuses it from the next request on. Devices that registered with an " +
			"enrolment token stay registered.",
		UsageText:       "aspects-poc server token revoke anna",
		SkipFlagParsing: true,
		Flags:           tokenFlags(),
		Action: func(c *cli.Context) error {
			if err := arguments(c, "revoke", 1); err != nil {
				return err
			}
			name := roles.Args(c)[0]
			return withTokens(env, c, false, func(ctx context.Context, store access.Store) error {
				ctx = byCommand(ctx, env, "revoke", "tokens/"+name, "")
				err := store.RevokeToken(ctx, name, time.Now().UTC().Truncate(time.Second), false)
				if errors.Is(err, access.ErrUnknownToken) {
					return fmt.Errorf("cannot revoke %q: %w; aspects-poc server token list shows which there are", name, err)
				}
				return err
			})
		},
	}
}

func arguments(c *cli.Context, command string, want int) error {
	switch given := roles.Args(c); {
	case len(given) > want:
		return roles.Usagef("unexpected argument %q", given[want])
	case len(given) < want:
		return roles.Usagef("%s needs the token's name", command)
	}
	return nil
}

// withTokens opens the tokens in the database of the flags. It creates a missing file only if makes is true.
func withTokens(env *roles.Env, c *cli.Context, makes bool, do func(context.Context, access.Store) error) error {
	settings, err := roles.NewSettings(env, c)
	if err != nil {
		return err
	}
	address := c.String("database")
	if err := checkDatabase(address); err != nil {
		return err
	}
	if address != "" {
		store, err := postgres.Open(c.Context, address, postgres.Options{})
		if err != nil {
			return err
		}
		return errors.Join(do(c.Context, store), store.Close())
	}
	state := statePath(c.String("state"), settings.StateDir)
	if !makes { // an open would create the file
		if _, err := os.Stat(state); err != nil {
			return fmt.Errorf("cannot read the tokens: %w; name the server's database with --state FILE", err)
		}
	}
	store, release, err := sqlite.OpenTokens(c.Context, state)
	if err != nil {
		return err
	}
	return errors.Join(do(c.Context, store), release())
}

func createToken(env *roles.Env, c *cli.Context) error {
	if err := arguments(c, "create", 1); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	token := access.Token{Name: roles.Args(c)[0], Purpose: access.Operate, Role: access.RoleAdmin, Created: now,
		Limit: c.Int64("uses")}
	labels, err := parseLabels("label", c.StringSlice("label"))
	if err != nil {
		return err
	}
	scope, err := parseLabels("scope", c.StringSlice("scope"))
	if err != nil {
		return err
	}
	token.Labels, token.Scope, token.Proxy = labels, access.Scope(scope), c.Bool("proxy")
	switch role := c.String("role"); {
	case c.Bool("enrol"):
		token.Purpose, token.Role = access.Enrol, access.Role(role)
	case role != "":
		token.Role = access.Role(role)
	case c.Bool("read-only"):
		token.Role = access.RoleViewer
	}
	expires := roles.SpanOf(c, "expires")
	if expires > 0 {
		token.Expires = now.Add(expires)
	}
	switch err := token.Check(); {
	case expires < 0:
		return roles.Usagef("--expires cannot be less than nothing")
	case token.Limit < 0:
		return roles.Usagef("--uses cannot be less than nothing")
	case c.Bool("read-only") && token.Role != access.RoleViewer:
		return roles.Usagef("--read-only means --role viewer: give one of them, and neither with --enrol")
	case token.Purpose == access.Operate && len(token.Labels) > 0:
		return roles.Usagef("--label is for enrolment tokens: add --enrol; --scope limits an operator's token")
	case token.Purpose == access.Operate && token.Limit > 0:
		return roles.Usagef("--uses is for enrolment tokens: add --enrol")
	case err != nil:
		return roles.Usagef("%s", err)
	}
	var text string
	text, token.Digest = access.NewToken(token.Purpose)
	err = withTokens(env, c, true, func(ctx context.Context, store access.Store) error {
		err := store.AddToken(byCommand(ctx, env, "create", "tokens/"+token.Name, token.Details()), token)
		if errors.Is(err, access.ErrTokenExists) {
			return fmt.Errorf("cannot make the token %q: %w, or was one; choose another name", token.Name, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		shown := token.Shape(now)
		shown.Token = text
		return writeJSON(env.Stdout, shown)
	}
	// Standard output gets only the token, for scripts.
	if _, err := fmt.Fprintln(env.Stdout, text); err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.Stderr, "Keep it now: it is not shown again. "+howTo(token))
	return err
}

// parseLabels parses the values of a flag for labels.
func parseLabels(flag string, given []string) (fleet.Labels, error) {
	if len(given) == 0 {
		return nil, nil
	}
	labels := fleet.Labels{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := labels[name]; !ok || twice {
			return nil, roles.Usagef("--%s wants KEY=VALUE, each key once, not %q", flag, text)
		}
		labels[name] = value
	}
	if _, err := labels.CheckGiven(); err != nil {
		return nil, roles.Usagef("invalid value for --%s: %s", flag, err)
	}
	return labels, nil
}

func howTo(token access.Token) string {
	if token.Purpose == access.Enrol {
		return "Devices register with it as \"enrolment-token\"."
	}
	return "It goes into requests as Authorization: Bearer TOKEN."
}

func printTokens(out io.Writer, list []access.Token, asJSON bool, now time.Time) error {
	if asJSON {
		shapes := make([]serverapi.Token, len(list))
		for i, token := range list {
			shapes[i] = token.Shape(now)
		}
		return writeJSON(out, shapes)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "There are no tokens. The first operator's is made with: "+access.CreateHint)
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for _, cell := range cells {
			fmt.Fprintf(table, "%v\t", cell)
		}
		fmt.Fprintln(table)
	}
	row("Name", "For", "State", "Created", "Expires", "Used")
	for _, token := range list {
		purpose := string(token.Role)
		switch {
		case token.Purpose == access.Enrol:
			purpose = "enrolment"
		case len(token.Scope) > 0:
			purpose += " of " + token.Scope.String()
		}
		row(plain.Line(token.Name), purpose, token.State(now), day(token.Created), day(token.Expires), useOf(token))
	}
	return table.Flush()
}

// useOf returns how many devices have used an enrolment token, or when an operator's token was last used.
func useOf(token access.Token) string {
	switch {
	case token.Purpose == access.Operate:
		return day(token.LastUsed)
	case token.Limit > 0:
		return fmt.Sprintf("%d of %d", token.Used, token.Limit)
	}
	return strconv.FormatInt(token.Used, 10)
}

func day(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format("2006-01-02 15:04")
}

func writeJSON(out io.Writer, value any) error {
	return jsonvalue.Write(out, value, "  ")
}

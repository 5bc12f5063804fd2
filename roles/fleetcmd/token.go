package fleetcmd

import (
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

func token(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "list, make and revoke tokens of operators and devices",
		Description: "Lists, makes and revokes tokens. Operators log in with theirs; devices register with an enrolment token if the server " +
			"asks for one. It needs an admin's token. On the server's machine, server token does the same without one.",
		UsageText:   "aspects-poc fleet token create bert --role operator --scope site=berlin",
		Subcommands: []*cli.Command{tokenList(env), tokenCreate(env), tokenRevoke(env)},
	}
}

func tokenList(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "list", Usage: "list tokens, including revoked ones",
		Description: "Lists names, roles, scopes and times of tokens, not the tokens themselves. The time of a token's last use may be up to a " +
			"minute old.",
		UsageText: "aspects-poc fleet token list",
	}, 0, 0, func(s *session, _ []string) error {
		list, err := s.client.Tokens(s)
		if err != nil {
			return err
		}
		return printList(s.out, "tokens", []column[serverapi.Token]{
			{head: "Name", cell: func(t serverapi.Token) word { return word{text: t.Name} }},
			{head: "For", cell: func(t serverapi.Token) word { return word{text: purposeOf(t)} }},
			{head: "State", cell: func(t serverapi.Token) word {
				return word{t.State, map[string]tone{"valid": good}[t.State]}
			}},
			{head: "Created", cell: func(t serverapi.Token) word { return word{text: dayOf(t.Created)} }},
			{head: "Expires", cell: func(t serverapi.Token) word { return word{text: dayOf(t.Expires)} }},
			{head: "Used", cell: func(t serverapi.Token) word { return word{text: useOf(t)} }},
		}, func(t serverapi.Token) string { return t.Name }, all(list))
	})
}

// purposeOf returns what a token is for.
func purposeOf(t serverapi.Token) string {
	text := t.Role
	if t.Purpose == "enrol" {
		text = "enrolment"
	}
	if len(t.Scope) > 0 {
		text += " of " + labelsOf(t.Scope)
	}
	if len(t.Labels) > 0 {
		text += ", gives " + labelsOf(t.Labels)
	}
	if t.Proxy {
		text += ", a proxy"
	}
	return text
}

func dayOf(at int64) string {
	if at == 0 {
		return "never"
	}
	return time.Unix(at, 0).Format(time.DateTime)
}

func useOf(t serverapi.Token) string {
	if t.Purpose != "enrol" {
		return dayOf(t.LastUsed)
	}
	if t.Uses == 0 {
		return fmt.Sprintf("%d times", t.Used)
	}
	return fmt.Sprintf("%d of %d times", t.Used, t.Uses)
}

func tokenCreate(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "create", Usage: "make a token, and print it once", ArgsUsage: "NAME",
		Description: "Makes a token for an operator, or with --enrol for devices that register, and prints it. The server stores only a hash " +
			"of it, so nobody can print the token again. Histories show the token's name; a name is never used again.",
		UsageText: "aspects-poc fleet token create anna --role admin\n" +
			"aspects-poc fleet token create bert --role operator --scope site=berlin --expires 30d\n" +
			"aspects-poc fleet token create line-1 --enrol --label site=line-1 --uses 50 --expires 24h",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "role", Usage: "what the holder may do, `viewer|operator|approver|admin`: a viewer reads; an operator " +
				"also changes layers and labels; an approver reads, approves and revokes devices, and without --scope continues releases; " +
				"an admin may do all"},
			&cli.StringSliceFlag{Name: "scope", Usage: "`KEY=VALUE`, a label of the devices that an operator or approver is limited to; may " +
				"be repeated"},
			&cli.BoolFlag{Name: "proxy", Usage: "the holder is a proxy with single sign-on, which names the person in each request"},
			&cli.BoolFlag{Name: "enrol", Usage: "make an enrolment token, with which devices register; a server with --enrolment open, " +
				"the default, ignores it"},
			&cli.Int64Flag{Name: "uses", Usage: "with --enrol: the `NUMBER` of devices that can register with it (0: any number)"},
			&cli.StringSliceFlag{Name: "label", Usage: "with --enrol: `KEY=VALUE`, a label of all devices that register with it; may be repeated"},
			roles.SpanFlag("expires", "`DURATION` for which the token is valid, such as 24h or 30d (0: for ever)"),
		},
	}, 1, 1, func(s *session, args []string) error {
		asked := serverapi.TokenRequest{Name: args[0], Purpose: "operate", Role: s.c.String("role"), Proxy: s.c.Bool("proxy"),
			Uses: s.c.Int64("uses"), Expires: int64(roles.SpanOf(s.c, "expires") / time.Second)}
		switch {
		case s.c.Bool("enrol"):
			asked.Purpose = "enrol"
		case asked.Role == "":
			return roles.Usagef("say with --role what the operator may do, or make an enrolment token with --enrol")
		}
		if expires := roles.SpanOf(s.c, "expires"); expires != 0 && asked.Expires < 1 {
			return roles.Usagef("invalid value %q for --expires: want a second or more", expires)
		}
		var err error
		if asked.Scope, err = labelFlags("scope", s.c.StringSlice("scope")); err != nil {
			return err
		}
		if asked.Labels, err = labelFlags("label", s.c.StringSlice("label")); err != nil {
			return err
		}
		made, err := s.client.CreateToken(s, asked)
		if err != nil {
			return err
		}
		if s.out.form != "json" && s.out.form != "yaml" { // only the token, for scripts
			if _, err := fmt.Fprintln(s.env.Stdout, made.Token); err != nil {
				return err
			}
			s.say("Keep it now: it is not shown again.")
		} else if err := s.out.printOne(made, made.Name, nil); err != nil {
			return err
		}
		if made.Enrolment == "open" {
			s.say("All devices register here without a token: the server ignores this one, and its labels. To ask for it, start the server with " +
				"--enrolment token, or approve.")
		}
		return nil
	})
}

// labelFlags parses the values of a flag for labels.
func labelFlags(flag string, given []string) (map[string]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	labels := map[string]string{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := labels[name]; !ok || twice || name == "" {
			return nil, roles.Usagef("--%s wants KEY=VALUE, each key once, not %q", flag, text)
		}
		labels[name] = value
	}
	return labels, nil
}

func tokenRevoke(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "revoke", Usage: "revoke a token for good", ArgsUsage: "TOKEN",
		Description: "Revokes the token of a name: the server refuses it from the next request on. Devices that registered with an enrolment " +
			"token stay registered. The server refuses to revoke the last admin's token that is valid.",
		UsageText: "aspects-poc fleet token revoke bert",
	}, 1, 1, func(s *session, args []string) error { return s.client.RevokeToken(s, args[0]) })
}

func whoami(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "whoami", Usage: "show who you are to the server, and what you may do",
		Description: "Shows the name, the role and the scope of your token, and until when it is valid.",
		UsageText:   "aspects-poc fleet whoami",
	}, 0, 0, func(s *session, _ []string) error {
		self, err := s.client.Whoami(s)
		if err != nil {
			return err
		}
		return s.out.printOne(self, self.Name, func() error {
			s.out.line("%s", selfText(self))
			return nil
		})
	})
}

// selfText returns who the caller is, and what the caller may do.
func selfText(self serverapi.Self) string {
	who := self.Name
	switch {
	case self.Kind == "loopback":
		who = "this machine, without a token"
	case self.Person != "":
		who = self.Person + " (" + self.Name + ")"
	}
	may := map[string]string{
		"viewer": "may read", "operator": "may read, and change layers and labels", "approver": "may read, approve and revoke devices, and say go to releases",
		"admin": "may do everything",
	}[self.Role]
	limited := ""
	if len(self.Scope) > 0 {
		limited = " of devices with " + labelsOf(self.Scope)
	}
	if self.Role == "approver" && limited != "" { // a release concerns more devices
		may, limited = "may read, and approve and revoke devices with "+labelsOf(self.Scope), ", but not say go to releases"
	}
	text := fmt.Sprintf("You are %s. The role %s %s%s", who, self.Role, may, limited)
	if self.Expires != 0 {
		text += "; the token is valid until " + dayOf(self.Expires)
	}
	return text + "."
}

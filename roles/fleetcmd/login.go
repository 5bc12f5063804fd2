package fleetcmd

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// say prints a line for people to standard error.
func say(env *roles.Env, format string, args ...any) {
	_, _ = fmt.Fprintln(env.Stderr, plain.Line(fmt.Sprintf(format, args...))) // nothing else can report it
}

func login(env *roles.Env) *cli.Command {
	return local(&cli.Command{
		Name: "login", Usage: "store a server and an operator's token", ArgsUsage: "URL",
		Description: "Tries a token at a server, stores both as a context, and makes it the current one. The token comes " +
			"from standard input, or from a file; a terminal asks for it. Contexts are in fleet.yaml in your " +
			"configuration, which only you can read. A server's first start writes a token to a file; server token " +
			"create makes others. A server that asks for none gets an empty token.",
		UsageText: "aspects-poc fleet login https://fleet.example.com\n" +
			"aspects-poc fleet login http://127.0.0.1:8000 --token-file operator.token --context lab",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagContext, Usage: "`NAME` of the context (default: the server's host and port)"},
			&cli.StringFlag{Name: flagToken, Usage: "`FILE` with the token (default: standard input)"},
			caFlag(),
		},
	}, 1, 1, func(c *cli.Context, args []string) error { return runLogin(env, c, args[0]) })
}

func runLogin(env *roles.Env, c *cli.Context, server string) error {
	normal, err := serverapi.ParseURL(server)
	if err != nil {
		return roles.Usagef("%s", err)
	}
	b, err := readBook(env.Getenv)
	if err != nil {
		return err
	}
	name := c.String(flagContext)
	if name == "" {
		parsed, err := url.Parse(normal)
		if err != nil {
			return err
		}
		name = parsed.Host
	}
	chosen := place{Server: normal}
	if c.String(flagCA) != "" {
		if chosen.CA, err = filepath.Abs(c.String(flagCA)); err != nil {
			return err
		}
	}
	if isOpen(normal) {
		say(env, "warning: requests to %s are not encrypted: others on the way can read the token; use https", normal)
	}
	if chosen.Token, err = askToken(env, c.String(flagToken)); err != nil {
		return err
	}
	client, err := chosen.open(0)
	if err != nil {
		return err
	}
	defer client.Close()
	summary, err := client.Summary(c.Context)
	if err != nil {
		return withRemedy(err, normal)
	}
	b.Contexts[name], b.Current = chosen, name
	if err := b.write(); err != nil {
		return err
	}
	said := fmt.Sprintf("Logged in to %s as context %s: %s\n", normal, plain.Line(name), devicesOf(summary.Devices))
	switch self, err := client.Whoami(c.Context); {
	case isMissing(err): // a server of an earlier version
	case err != nil:
		return withRemedy(err, normal)
	default:
		said += plain.Line(selfText(self)) + "\n"
	}
	_, err = io.WriteString(env.Stdout, said)
	return err
}

// askToken reads the token from a file, from the terminal, or from standard input.
func askToken(env *roles.Env, file string) (string, error) {
	if file != "" {
		return readToken(env, file)
	}
	terminal, ok := env.Stdin.(*os.File)
	if !ok || !roles.IsTerminal(terminal) {
		return readToken(env, "-")
	}
	_, _ = fmt.Fprint(env.Stderr, "Token (it is not shown; empty if the server asks for none): ")
	text, err := term.ReadPassword(int(terminal.Fd()))
	_, _ = fmt.Fprintln(env.Stderr)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	return checkToken(string(text))
}

func logout(env *roles.Env) *cli.Command {
	return local(&cli.Command{
		Name: "logout", Usage: "forget a context and its token", ArgsUsage: "[CONTEXT]",
		Description: "Removes a context, or the current one, with its token. The server still accepts the token: server " +
			"token revoke ends that.",
		UsageText: "aspects-poc fleet logout lab",
	}, 0, 1, func(_ *cli.Context, args []string) error {
		b, err := readBook(env.Getenv)
		if err != nil {
			return err
		}
		name := b.Current
		if len(args) > 0 {
			name = args[0]
		}
		if _, err := b.named(name); err != nil {
			return err
		}
		delete(b.Contexts, name)
		if b.Current == name {
			b.Current = ""
		}
		return b.write()
	})
}

func use(env *roles.Env) *cli.Command {
	return local(&cli.Command{
		Name: "use", Usage: "make a context the current one", ArgsUsage: "CONTEXT",
		Description: "Makes a context the current one: commands without --context and --server-url talk to its server.",
		UsageText:   "aspects-poc fleet use lab",
	}, 1, 1, func(_ *cli.Context, args []string) error {
		b, err := readBook(env.Getenv)
		if err != nil {
			return err
		}
		if _, err := b.named(args[0]); err != nil {
			return err
		}
		b.Current = args[0]
		return b.write()
	})
}

// A contextShape is the printed form of a context, without its token.
type contextShape struct {
	Name    string `json:"name"`
	Server  string `json:"server"`
	Current bool   `json:"current"`
}

func contexts(env *roles.Env) *cli.Command {
	return local(&cli.Command{
		Name: "contexts", Usage: "list the servers that you have logged in to",
		Description: "Lists the contexts, without their tokens.",
		UsageText:   "aspects-poc fleet contexts",
		Flags:       outputFlags(),
	}, 0, 0, func(c *cli.Context, _ []string) error {
		b, err := readBook(env.Getenv)
		if err != nil {
			return err
		}
		out, err := newPrinter(env, c.String(flagOutput), c.Bool(flagNoHeaders))
		if err != nil {
			return err
		}
		return printList(out, "contexts", []column[contextShape]{
			{head: "Name", cell: func(s contextShape) word { return word{text: s.Name} }},
			{head: "Current", cell: func(s contextShape) word { return word{text: map[bool]string{true: "yes"}[s.Current]} }},
			{head: "Server", cell: func(s contextShape) word { return word{text: s.Server} }},
		}, func(s contextShape) string { return s.Name }, func(yield func(contextShape, error) bool) {
			for _, name := range b.names() {
				if !yield(contextShape{name, b.Contexts[name].Server, name == b.Current}, nil) {
					return
				}
			}
		})
	})
}

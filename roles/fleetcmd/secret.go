package fleetcmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// maxSecret is the largest size of a secret's value, in bytes. The server has its own limit.
const maxSecret = 1 << 20

func secret(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "secret", Usage: "list, set and delete named secrets",
		Description: "Lists, sets and deletes named secrets. A layer refers to one with {$secret: NAME} in the place of a " +
			"value that the confdb-schema marks as secret. Nobody can read a value again.",
		UsageText:   "aspects-poc fleet secret list",
		Subcommands: []*cli.Command{secretList(env), secretSet(env), secretDelete(env)},
	}
}

func secretList(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "list", Usage: "list the named secrets",
		Description: "Lists the names of the secrets, their digests, who set them, and the layers that refer to them. Nothing " +
			"shows the values.",
		UsageText: "aspects-poc fleet secret list",
	}, 0, 0, func(s *session, _ []string) error {
		list, err := s.client.Secrets(s)
		if err != nil {
			return err
		}
		return printList(s.out, "secrets", []column[serverapi.Secret]{
			{head: "Name", cell: func(s serverapi.Secret) word { return word{text: s.Name} }},
			{head: "Digest", cell: func(s serverapi.Secret) word {
				if s.Digest == "" {
					return word{"lost", bad}
				}
				return word{text: s.Digest}
			}},
			{head: "Revision", cell: func(s serverapi.Secret) word { return word{text: revision(s.Revision)} }},
			{head: "Set by", cell: func(s serverapi.Secret) word { return word{text: by(s.SetBy, s.SetAt)} }},
			{head: "Layers", cell: func(s serverapi.Secret) word {
				text := strings.Join(s.Layers, ", ")
				if s.MoreLayers > 0 {
					text += fmt.Sprintf(" and %d more", s.MoreLayers)
				}
				return word{text: text}
			}},
		}, func(s serverapi.Secret) string { return s.Name }, all(list))
	})
}

func secretSet(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "set", Usage: "set a named secret from standard input or a file", ArgsUsage: "SECRET",
		Description: "Stores a value as a named secret. The value is a text, of which one newline at the end is removed; with " +
			"--json it is a JSON value of any type but null. A terminal asks for it and does not show it. Each layer that refers " +
			"to the secret gets the new value; a value that the confdb-schema does not take there is refused.",
		UsageText: "aspects-poc fleet secret set vpn < vpn.key\naspects-poc fleet secret set vpn --file vpn.key",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` with the value (default: standard input)"},
			&cli.BoolFlag{Name: "json", Usage: "the value is JSON, not a text"},
		},
	}, 1, -1, func(s *session, args []string) error {
		if len(args) > 1 { // a second argument may be the value
			return roles.Usagef("set takes the name of the secret, and nothing else; the value comes from standard input or --file")
		}
		value, err := s.readSecret()
		if err != nil {
			return fmt.Errorf("cannot read the value of the secret: %w", err)
		}
		set, err := s.client.SetSecret(s, args[0], value)
		if err != nil {
			return err
		}
		return s.out.printOne(set, set.Name, func() error {
			s.out.line("the secret %s is now revision %d, digest %s; it changes the targets of %s", set.Name, set.Revision, set.Digest,
				devicesOf(set.Devices))
			return nil
		})
	})
}

func secretDelete(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "delete", Usage: "delete a named secret", ArgsUsage: "SECRET",
		Description: "Deletes a named secret. If layers refer to it, the server names them and deletes nothing.",
		UsageText:   "aspects-poc fleet secret delete vpn",
	}, 1, 1, func(s *session, args []string) error { return s.client.DeleteSecret(s, args[0]) })
}

// readSecret reads a value as JSON. Its errors do not show the value.
func (s *session) readSecret() (json.RawMessage, error) {
	in := s.env.Stdin
	if file := s.c.String("file"); file != "" {
		open, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = open.Close() }() // only read
		in = open
	} else if terminal, ok := in.(*os.File); ok && roles.IsTerminal(terminal) {
		_, _ = fmt.Fprint(s.env.Stderr, "Value (it is not shown): ")
		text, err := term.ReadPassword(int(terminal.Fd()))
		_, _ = fmt.Fprintln(s.env.Stderr)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(text)
	}
	return serverapi.ReadSecret(in, s.c.Bool("json"), maxSecret)
}

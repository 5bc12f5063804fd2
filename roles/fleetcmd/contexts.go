package fleetcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/nearest"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
)

// A place is the address of a server, with the CA and the token to use there.
type place struct {
	Server string `yaml:"server"`
	Token  string `yaml:"token,omitempty"`
	CA     string `yaml:"ca,omitempty"` // file of certificates
}

// open returns a client of the server. A timeout of 0 means the usual one.
func (p place) open(timeout time.Duration) (*operator.Client, error) {
	return operator.New(p.Server, operator.Options{Token: p.Token, CAFile: p.CA, Timeout: timeout})
}

// A book has the contexts of a user, which are named places. It is a file with tokens, so only the user can read it.
type book struct {
	Current  string           `yaml:"current,omitempty"`
	Contexts map[string]place `yaml:"contexts"`

	path string
}

// bookPath returns the path of the contexts' file. In a snap it is in a folder that refreshes do not change.
func bookPath(getenv func(string) string) (string, error) {
	switch {
	case getenv("SNAP_USER_COMMON") != "":
		return filepath.Join(getenv("SNAP_USER_COMMON"), "fleet.yaml"), nil
	case getenv("XDG_CONFIG_HOME") != "":
		return filepath.Join(getenv("XDG_CONFIG_HOME"), roles.Program, "fleet.yaml"), nil
	case getenv("HOME") != "":
		return filepath.Join(getenv("HOME"), ".config", roles.Program, "fleet.yaml"), nil
	}
	return "", errors.New("cannot find your configuration: neither $HOME nor $XDG_CONFIG_HOME is set")
}

func readBook(getenv func(string) string) (*book, error) {
	b := &book{Contexts: map[string]place{}}
	var err error
	if b.path, err = bookPath(getenv); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read your contexts: %w", err)
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(b); err != nil && !errors.Is(err, io.EOF) {
		// The text of a YAML error can quote a token.
		return nil, fmt.Errorf("cannot read %s: it is damaged; repair it, or delete it and log in again", b.path)
	}
	if b.Contexts == nil {
		b.Contexts = map[string]place{}
	}
	return b, nil
}

func (b *book) write() error {
	text, err := yaml.Marshal(b)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(b.path), 0o700)
	}
	if err == nil {
		err = durable.Write(b.path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot store the context: %w", err)
	}
	return nil
}

func (b *book) names() []string { return slices.Sorted(maps.Keys(b.Contexts)) }

// named returns the context with this name. It returns an error for an unknown name.
func (b *book) named(name string) (place, error) {
	if found, ok := b.Contexts[name]; ok {
		return found, nil
	}
	hint := "; log in first: " + roles.Program + " fleet login URL"
	if near := nearest.Names(name, b.names()); len(near) > 0 {
		hint = "; did you mean " + near[0] + "?"
	} else if len(b.Contexts) > 0 {
		hint = "; there are " + strings.Join(b.names(), ", ")
	}
	return place{}, roles.Usagef("unknown context %q%s", name, hint)
}

// The flags that choose a server.
const (
	flagContext = "context"
	flagServer  = "server-url"
	flagToken   = "token-file"
	flagCA      = "ca"
)

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagContext, Usage: "`CONTEXT` to use in place of the current one [$ASPECTS_CONTEXT]"},
		&cli.StringFlag{Name: flagServer, Aliases: []string{"server"}, Usage: "`URL` of the server, in place of a " +
			"context's [$ASPECTS_SERVER_URL]"},
		&cli.StringFlag{Name: flagToken, Usage: "`FILE` with the operator's token, in place of a context's; -: " +
			"standard input [$ASPECTS_TOKEN_FILE]"},
		caFlag(),
	}
}

func caFlag() cli.Flag {
	return &cli.StringFlag{Name: flagCA, Usage: "`FILE` with the CA certificates to trust instead of the system's"}
}

// choosePlace returns the server of a flag, of the environment, or of the current context. It uses a context's token
// only for the context's own server.
func choosePlace(env *roles.Env, c *cli.Context) (place, error) {
	b, err := readBook(env.Getenv)
	if err != nil {
		return place{}, err
	}
	context, server := c.String(flagContext), c.String(flagServer)
	switch {
	case context != "" && server != "":
		return place{}, roles.Usagef("--%s and --%s both choose the server: give one of them", flagContext, flagServer)
	case context == "" && server == "":
		if server = env.Getenv("ASPECTS_SERVER_URL"); env.Getenv("ASPECTS_CONTEXT") != "" {
			context, server = env.Getenv("ASPECTS_CONTEXT"), ""
		} else if server == "" {
			context = b.Current
		}
	}
	var chosen place
	switch {
	case context != "":
		chosen, err = b.named(context)
	case server != "":
		chosen, err = b.of(server)
	default:
		err = roles.Usagef("no server is known: log in first (%s fleet login URL), or give --%s", roles.Program, flagServer)
	}
	if err != nil {
		return place{}, err
	}
	if c.IsSet(flagCA) {
		chosen.CA = c.String(flagCA)
	}
	file := c.String(flagToken)
	if file == "" {
		file = env.Getenv("ASPECTS_TOKEN_FILE")
	}
	if file != "" {
		chosen.Token, err = readToken(env, file)
	}
	return chosen, err
}

// of returns the place of a server, with the token that a context has for it.
func (b *book) of(server string) (place, error) {
	normal, err := serverapi.ParseURL(server)
	if err != nil {
		return place{}, roles.Usagef("%s", err)
	}
	for _, name := range append([]string{b.Current}, b.names()...) {
		if found, ok := b.Contexts[name]; ok && found.Server == normal {
			return found, nil
		}
	}
	return place{Server: normal}, nil
}

// maxToken is the largest size of a token's text, in bytes.
const maxToken = 4096

// readToken reads a token from a file, or from standard input for "-".
func readToken(env *roles.Env, file string) (string, error) {
	in := env.Stdin
	if file != "-" {
		open, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("cannot read the token: %w", err)
		}
		defer func() { _ = open.Close() }() // only read
		in = open
	}
	text, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	token, err := checkToken(string(text))
	if err == nil && token == "" && file != "-" {
		err = fmt.Errorf("cannot use the token: the file %s is empty", file)
	}
	return token, err
}

// checkToken returns an error for a text that cannot be a token. The error does not show the text.
func checkToken(text string) (string, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("cannot use the token: it is no token of a fleet server, which is one word, such as aspects-operate-…")
	}
	return text, nil
}

// isOpen reports whether others can read requests to a server: they are not encrypted and leave this machine.
func isOpen(server string) bool {
	parsed, err := url.Parse(server)
	if err != nil || parsed.Scheme != "http" || parsed.Hostname() == "localhost" {
		return false
	}
	address := net.ParseIP(parsed.Hostname())
	return address == nil || !address.IsLoopback()
}

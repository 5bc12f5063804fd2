// Package demo runs all roles in one process on a registry of its own, without snapd, root or a network. Its main
// function is New. It gets the list of roles from its caller, and starts each role with a command line as a user does.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

// New returns the demo of these roles. It uses the tools in the list, but does not run them as roles.
func New(list ...roles.Role) roles.Role {
	demo := roles.Role{Name: "demo", Summary: "run all roles together, and print what they share", Tool: true}
	demo.Command = func(env *roles.Env) *cli.Command { return command(env, list) }
	return demo
}

func command(env *roles.Env, list []roles.Role) *cli.Command {
	return &cli.Command{
		Description: "Runs all roles in this process on a new registry, with a fleet server and some simulated devices " +
			"beside control's. It needs neither snapd nor root. After a few cycles it sets targets on the " +
			"server: control applies them, vpn and reporting follow, one device refuses, and one drifts. The " +
			"first line has the address of the fleet's page, which shows all of this. With --once the demo makes " +
			"one pass and prints the views. Exit status: 0 if every role succeeded, else 1.",
		UsageText: "aspects-poc demo\naspects-poc demo --once\naspects-poc demo --state ~/demo --interval 10s",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "once", Usage: "make one pass, in a few seconds"},
			&cli.DurationFlag{Name: "interval", Value: 2 * time.Second, Usage: "`DURATION` of the roles' cycles"},
			&cli.StringFlag{Name: "state", Usage: "`DIR` to keep registry, server and device in (default: a temporary one, " +
				"removed at the end)"},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8000",
				Usage: "`HOST:PORT` of the server; another port is taken if this one is in use"},
			&cli.StringFlag{Name: "account-id", Value: network.AccountID, Usage: "account `ID` of the confdb-schema"},
			&cli.StringFlag{Name: "log-level", Value: "warn", Usage: "least `LEVEL` that the roles log"},
		},
		Action: func(c *cli.Context) (err error) {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: demo takes flags only", c.Args().First())
			}
			if c.Duration("interval") < roles.MinInterval {
				return roles.Usagef("invalid value %q for --interval: want %s or more, such as 2s", c.Duration("interval"),
					roles.MinInterval)
			}
			stage, err := newStage(env, list, c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stage.remove()) }()
			if c.Bool("once") {
				return stage.once(c.Context)
			}
			return stage.run(c.Context)
		},
	}
}

// A stage is the environment of the demo's roles: registry, server address and state directory.
type stage struct {
	env      *roles.Env
	list     []roles.Role
	interval time.Duration
	account  string
	logLevel string

	dir       string
	temporary bool
	registry  string // address
	listen    string // HOST:PORT of the server
	moved     bool   // the wanted port was taken
	out       *prefixer
	http      *http.Client // client for the requests that a person would send with curl
}

func newStage(env *roles.Env, list []roles.Role, c *cli.Context) (*stage, error) {
	s := &stage{
		env: env, list: list, interval: c.Duration("interval"), account: c.String("account-id"),
		logLevel: c.String("log-level"), out: newPrefixer(env, list, calm*c.Duration("interval")),
		http: &http.Client{Timeout: serverapi.DefaultTimeout},
	}
	var err error
	if s.listen, s.moved, err = freePort(c.String("listen")); err != nil {
		return nil, err
	}
	if s.dir = c.String("state"); s.dir == "" {
		s.temporary = true
		if s.dir, err = os.MkdirTemp("", "aspects-poc-demo-"); err != nil {
			return nil, fmt.Errorf("cannot make a temporary directory: %w", err)
		}
	} else {
		if s.dir, err = filepath.Abs(s.dir); err == nil {
			err = os.MkdirAll(s.dir, 0o700)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot use the state directory: %w", err)
		}
	}
	s.registry = "file:" + filepath.Join(s.dir, "registry.json")
	return s, nil
}

func (s *stage) remove() error {
	if !s.temporary {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// freePort returns the address if its port is free, else an address with a free port.
func freePort(address string) (free string, moved bool, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", false, roles.Usagef("invalid value %q for --listen: want HOST:PORT such as 127.0.0.1:8000", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		moved = true
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", false, fmt.Errorf("cannot listen on %s: %w", address, err)
		}
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return net.JoinHostPort(host, port), moved, errors.Join(err, listener.Close())
}

// url returns the server's address for clients on this machine.
func (s *stage) url() string {
	host, port, _ := net.SplitHostPort(s.listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// start runs a role with these words as its command line, and waits until it ends. The role gets the stage's
// environment, without the user's own settings.
func (s *stage) start(ctx context.Context, name string, words ...string) error {
	env := *s.env
	env.Stdout, env.Stderr = s.out.streams(name)
	return s.play(ctx, &env, append([]string{name}, words...))
}

// play runs a command line.
func (s *stage) play(ctx context.Context, env *roles.Env, words []string) error {
	inner := *env
	inner.Getenv = s.getenv
	if code := roles.Run(ctx, &inner, append([]string{roles.Program}, words...), s.list...); code != roles.ExitDone {
		return fmt.Errorf("%s %s: exit status %d", roles.Program, strings.Join(words, " "), code)
	}
	return nil
}

func (s *stage) getenv(name string) string {
	switch {
	case name == "XDG_STATE_HOME":
		return s.dir
	case strings.HasPrefix(name, "ASPECTS_"), strings.HasPrefix(name, "SNAP"), name == "ACCOUNT_ID":
		return ""
	}
	return s.env.Getenv(name)
}

// common returns the flags of every role.
func (s *stage) common() []string {
	return []string{"--registry", s.registry, "--account-id", s.account, "--config", "-"}
}

// flags returns the flags of a role's run command.
func (s *stage) flags(role string) []string {
	level := s.logLevel
	flags := append(s.common(), "--interval", s.interval.String(), "--log-level", cmp.Or(level, "warn"))
	if role == serverRole {
		// One-second steps let the page's charts show something at once.
		flags = append(flags, "--listen", s.listen, "--stats-step", "1s", "--operators", "loopback")
	}
	return flags
}

// The roles that the demo treats differently: the server starts first, control registers the device, and control and
// vpn get a seed.
const (
	serverRole  = "server"
	controlRole = "control"
	vpnRole     = "vpn"
)

// others returns the names of the roles except the server, control first.
func (s *stage) others() []string {
	var names []string
	for _, role := range s.list {
		switch {
		case role.Tool || role.Name == serverRole:
		case role.Name == controlRole:
			names = append([]string{role.Name}, names...)
		default:
			names = append(names, role.Name)
		}
	}
	return names
}

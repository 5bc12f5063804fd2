// Package roles is the frame around the roles: it picks one by argv[0] or the first argument, or one of its hooks where
// snapd calls a snap's, gives it its streams, its registry and its signals, resolves flags from command line, environment, file and defaults, and turns what the role
// returns into an exit code.
//
// A role is a folder that exports a Role, and a line in all.go:
//
//	var Role = roles.Role{Name: "vpn", Summary: "keep the tunnel's peers", Command: command}
//
//	func command(env *roles.Env) *cli.Command {
//		return &cli.Command{Subcommands: []*cli.Command{
//			roles.RunCommand(env, roles.RunSpec{
//				Usage:       "simulate changes of the tunnel",
//				Description: "One paragraph.",
//				Example:     "aspects-poc vpn run --once",
//				Interval:    time.Minute,
//				Flags:       []cli.Flag{&cli.Float64Flag{Name: "drop-rate", Value: 0.1, Usage: "…"}},
//				Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
//					reg, err := s.Open(ctx)
//					…
//					return poll.Loop(ctx, poll.Options{Interval: s.Interval, Once: s.Once, …}, cycle)
//				},
//			}),
//		}}
//	}
//
// Nothing but main leaves the process; nothing reads os.Args, os.Getenv or the standard streams but through Env.
package roles

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"aspects-poc/registry"

	"github.com/urfave/cli/v2"
)

// Program is the name of the binary; Program-ROLE are its other names.
const Program = "aspects-poc"

// A Role is one thing the binary can be. Adding one is a folder that exports a Role, and a line in all.go.
type Role struct {
	Name    string // "control": the command, and aspects-poc-control as argv[0]
	Summary string // one line for the list of roles, lower case, without a full stop
	// Tool marks a further command, such as registry or demo: it is none of the snaps' roles, and no argv[0] picks it.
	Tool bool
	// Command describes the role's commands. It is called for each run, as cli commands carry state. Its name and
	// summary are filled in from the Role.
	Command func(env *Env) *cli.Command
	// Hooks are what snapd calls the role's snap for.
	Hooks []Hook
	// Views lists the candidates for the first argument of commands that take a VIEW, given the flags typed so far.
	Views func(env *Env, c *cli.Context) []Candidate
}

// A Candidate is what a word may be completed to.
type Candidate struct {
	Word  string
	About string // for shells that show it
}

// Env is what a role may touch of the world around it.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // what the role is for: its reports, one line each
	Stderr io.Writer // logs and errors
	Getenv func(string) string

	// Open opens the registry at an address, "" meaning "auto". Roles use Settings.Open, which knows the flags.
	Open func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error)
	// OpenHook opens the registry of a hook; nil means registry.OpenHook.
	OpenHook func(ctx context.Context, name string, options ...registry.Options) (*registry.Hook, error)
}

// Main runs the program as args (os.Args) say and returns the exit code. SIGINT and SIGTERM end the context that the
// role works under; a second one ends the process at once.
func Main(args []string, list ...Role) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	env := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Open: registry.Open}
	return Run(ctx, env, args, list...)
}

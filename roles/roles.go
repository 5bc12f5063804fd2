// Package roles is the frame of the program. It chooses a role by argv[0] or the first argument, or a hook if snapd
// runs one. It provides streams, registry and signals, resolves flags from command line, environment, file and
// defaults, and turns errors into exit codes. Its main types are Role, Env and Settings. The folders below it have
// the roles themselves.
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
// Only main exits the process. Roles use os.Args, os.Getenv and the standard streams only through Env.
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

// Program is the name of the binary. Its links are named Program-ROLE.
const Program = "aspects-poc"

// A Role is a role of the binary, or a tool. Each is a folder that exports a Role, and a line in all.go.
type Role struct {
	Name    string // such as "control": the command, and aspects-poc-control as argv[0]
	Summary string // one line for the list of roles, lower case, without a full stop
	// Tool marks commands such as registry or demo. A tool has no snap, and argv[0] cannot choose it.
	Tool bool
	// Command returns the role's commands. It is called for each run, as cli commands have state. The frame sets
	// their name and summary.
	Command func(env *Env) *cli.Command
	// Hooks are the hooks of the role's snap.
	Hooks []Hook
	// Words returns the candidates for an argument or a flag's value, for completion. Kind is its placeholder, such as VIEW.
	// c has the typed flags.
	Words func(env *Env, c *cli.Context, kind, typed string) []Candidate
}

// A Candidate is a completion of a word.
type Candidate struct {
	Word  string
	About string // description, for shells that show it
}

// Env is a role's access to its environment. Only Main uses the process's own.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // the role's reports, one line each
	Stderr io.Writer // logs and errors
	Getenv func(string) string

	// Open opens the registry at an address; "" means "auto". Roles call Settings.Open, which knows the flags.
	Open func(ctx context.Context, address string, options ...registry.Options) (*registry.Registry, error)
	// OpenHook opens the registry of a hook; nil means registry.OpenHook.
	OpenHook func(ctx context.Context, name string, options ...registry.Options) (*registry.Hook, error)
}

// Main runs the program with args (os.Args) and returns the exit code. SIGINT and SIGTERM end the role's context. A
// second signal ends the process at once.
func Main(args []string, list ...Role) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	env := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Open: registry.Open}
	return Run(ctx, env, args, list...)
}

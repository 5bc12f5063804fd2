// Package roles is the frame around the roles: it picks one by argv[0] or the first argument, gives it its streams, its
// registry and its signals, and turns what it returns into an exit code.
package roles

import (
	"context"
	"io"

	"aspects-poc/registry"

	"github.com/urfave/cli/v2"
)

// A Role is one thing the binary can be. Adding one is a folder that exports a Role, and a line in main.go.
type Role struct {
	Name    string // "control": the command, and aspects-poc-control as argv[0]
	Summary string
	// Command describes the role's commands. It is called for each run, as cli commands carry state.
	Command func(env *Env) *cli.Command
}

// Env is what a role may touch of the world around it.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer // what the role is for: its reports, one line each
	Stderr io.Writer // logs and errors
	Getenv func(string) string

	// Open opens the registry that the user chose (--registry, ASPECTS_REGISTRY, default "auto").
	Open func(ctx context.Context, address string) (*registry.Registry, error)
}

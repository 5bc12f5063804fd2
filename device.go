//go:build device

package main

import (
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/vpn"

	"github.com/urfave/cli/v2"
)

// run runs the program with args (os.Args) and returns the exit code.
func run(args []string) int { return roles.Main(args, all()...) }

// all returns the roles and tools of the device binary. For each command that it leaves out, a stand-in prints where
// the command is.
func all() []roles.Role {
	list := []roles.Role{control.Role, vpn.Role, reporting.Role, registrycmd.New(kit)}
	for _, role := range []roles.Role{{Name: "server"}, {Name: "fleet", Tool: true}, {Name: "fleet-sim", Tool: true},
		{Name: "demo", Tool: true}} {
		role.Command = func(*roles.Env) *cli.Command { return roles.Elsewhere(role.Name) }
		list = append(list, role)
	}
	return list
}

func kit(*roles.Env) []*cli.Command {
	var list []*cli.Command
	for _, name := range []string{"lint", "build", "show", "new", "serve", "dev", "run", "test", "assertion", "generate", "explain", "fmt", "lsp"} {
		list = append(list, roles.Elsewhere("registry "+name))
		list[len(list)-1].Name = name
	}
	return list
}

package control

import (
	"crypto/rsa"
	"net/http"

	"aspects-poc/roles"
	"aspects-poc/roles/internal/netdev"

	"github.com/urfave/cli/v2"
)

var (
	DebianName    = debianName
	InterfaceName = interfaceName
	Describe      = describe
)

// RoleWith is Role on a machine of the test's: its way to the server, its keys and its interfaces.
func RoleWith(
	transport http.RoundTripper, newKey func() (*rsa.PrivateKey, error), links func() ([]netdev.Link, error),
) roles.Role {
	role := Role
	role.Command = func(env *roles.Env) *cli.Command {
		return commandWith(env, parts{transport: transport, newKey: newKey, links: links})
	}
	return role
}

// StateIn is the state of a directory.
func StateIn(dir string) *State { return &State{dir: dir} }

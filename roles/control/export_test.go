package control

import (
	"crypto/rsa"
	"net/http"
	"os"

	"aspects-poc/roles"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/control/target"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/internal/netdev"

	"github.com/urfave/cli/v2"
)

var (
	DebianName    = debianName
	InterfaceName = interfaceName
	Describe      = describe
	Permitted     = custodian.Permitted
)

// A Machine is what the role uses of the machine, where a test replaces it.
type Machine struct {
	Transport http.RoundTripper // to servers
	NewKey    func() (*rsa.PrivateKey, error)
	Links     func() ([]netdev.Link, error)
	Random    func() float64 // nil: always a half, so that polls come at the regular interval
	Replace   func(path string, content []byte, mode os.FileMode) error
}

// RoleOn is Role on a machine of the test's.
func RoleOn(machine Machine) roles.Role {
	if machine.Random == nil {
		machine.Random = func() float64 { return 0.5 }
	}
	role := Role
	role.Command = func(env *roles.Env) *cli.Command {
		return commandWith(env, parts{transport: machine.Transport, newKey: machine.NewKey, links: machine.Links,
			random: machine.Random, replace: machine.Replace})
	}
	return role
}

// JournalIn reads the journal of a state directory.
func JournalIn(dir string) (target.Journal, error) { return (&state.Dir{Path: dir}).Journal() }
